"""Which pixels of the image one unit of a layer sees: its receptive field, with its place."""

from __future__ import annotations

from ..autograd import no_grad
from ..errors import ShapeError
from ..kernels import shapes
from ..nn import Module
from ..running import watched_by
from ..tensor import Tensor
from ..trace import Step, Tracer
from .activations import capturing, one_layer
from .scores import check_model, examined

MIXING = ("matmul", "transpose")  # which move rows and columns about, or sum over them
Span = tuple[int, int]  # from, to (not included), along rows or along columns


class Sight:
    """What the units of a layer see. The model is run once for its shapes alone, and each question is answered by going
    back through its operations.

    Parameters
    ----------
    model : Module
    input_size : (C, H, W)
    layer : str
        Path of a layer.

    Attributes
    ----------
    output_shape : tuple of int
        Of the layer, without the batch axis.

    Examples
    --------
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2))
    >>> Sight(model, (1, 8, 8), "1").box(0, 1)
    (0, 1, 3, 5)
    """

    def __init__(self, model: Module, input_size: tuple[int, int, int], layer: str) -> None:
        check_model("Sight", model)
        self.input_size = tuple(input_size)
        dtype = next((p.dtype for p in model.parameters()), "float32")
        images, tracer = shapes.blank((1, *self.input_size), dtype), Tracer(model)
        with capturing("Sight", model, [layer]) as caught, shapes.shapes_only(), examined(model), no_grad():
            with watched_by(tracer):
                tracer.begin(images)
                model(Tensor(images))
            output = one_layer("Sight", caught, layer)
            self._made = tracer.made_by(output)
        self.output_shape = output.shape[1:]
        self._steps = tracer.steps

    def box(self, row: int = 0, column: int = 0) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) in pixels of what the unit (row, column) sees; the last two are not included.

        A window at the image's edge is cut off there. Behind a flattening, everything is seen.
        """
        here = self.output_shape[1:] if len(self.output_shape) == 3 else (1, 1)
        if not (0 <= row < here[0] and 0 <= column < here[1]):
            raise ShapeError(f"Sight: there is no unit ({row}, {column}) in maps of {here[0]}x{here[1]}")
        seen = {step: ((row, row + 1), (column, column + 1)) for step in self._made}
        for number in reversed(range(len(self._steps))):  # a step's sources are older than the step
            if number not in seen:
                continue
            step = self._steps[number]
            for source in step.sources:
                before = (1, *self.input_size) if source == -1 else self._steps[source].output_shape
                spans = tuple(_back(step, axis, seen[number][axis], before) for axis in (0, 1))
                if any(low == high for low, high in spans):  # on this way it sees nothing but padding
                    continue
                seen[source] = tuple(map(_both, seen[source], spans)) if source in seen else spans
        (top, bottom), (left, right) = seen.get(-1, ((0, 0), (0, 0)))
        return top, left, bottom, right


def _both(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


def _back(step: Step, axis: int, span: Span, before: tuple[int, ...]) -> Span:
    """The span of an operation's input, of shape ``before``, that a span of its output is computed from."""
    if len(before) != 4:
        return 0, 1  # what comes before is no map: the question ends at the operation that made it one
    n = before[2 + axis]
    if len(step.output_shape) != 4 or step.op in MIXING:
        return 0, n
    low, high = span
    made = step.output_shape[2 + axis]
    if step.op == "adaptive_avg_pool2d":
        return low * n // made, -(-high * n // made)
    if step.window is not None:
        kernel, stride = step.window.kernel_size[axis], step.window.stride[axis]
        padding, dilation = step.window.padding[2 * axis], step.window.dilation[axis]
        return _inside(low * stride - padding, (high - 1) * stride - padding + (kernel - 1) * dilation + 1, n)
    if step.op == "pad":
        first = step.options["widths"][2 + axis][0]
        return _inside(low - first, high - first, n)
    index = step.options.get("index")
    if isinstance(index, tuple) and len(index) == 4 and isinstance(index[2 + axis], slice):
        start, _, every = index[2 + axis].indices(n)
        return _inside(start + low * every, start + (high - 1) * every + 1, n) if every > 0 else (0, n)
    return span if made == n else (0, n)  # element by element, across channels; otherwise anything


def _inside(low: int, high: int, n: int) -> Span:
    low = min(max(low, 0), n)
    return low, max(min(high, n), low)
