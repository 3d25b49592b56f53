"""Reverse-mode automatic differentiation: Function, the backward walk, no_grad.

Every differentiable operation is a :class:`Function`. ``apply`` runs its ``forward`` on plain arrays and hangs a
:class:`Context` on the result: which function, which inputs, what it saved. ``backward`` on the final tensor walks
these contexts from the newest to the oldest and calls each function's ``backward`` once.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import weakref
from collections.abc import Sequence

import numpy as np

from . import running
from .device import device_of, is_array, number_on, plain_array
from .errors import ArgumentError, DeviceError, DtypeError, GraphError, ShapeError, UnfinishedError
from .kernels import shapes
from .kernels.blanks import as_blank
from .kernels.layout import add
from .tensor import FLOATS, Tensor, as_array, as_tensor

_creation_order = itertools.count()


class _State(threading.local):
    enabled = True  # of a class: ten times as quick as getattr's default, and every operation asks
    outer: tuple[bool, ...] = ()


_state = _State()


def grad_enabled() -> bool:
    """False inside ``no_grad`` (per thread)."""
    return _state.enabled


class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside this block (or decorated function) no graph is built: faster, and nothing is kept for a backward.

    >>> from minicnn import tensor
    >>> x = tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     (x * 2).requires_grad
    False
    """

    enables = False

    def __enter__(self) -> None:
        _state.outer = (*_state.outer, grad_enabled())  # per thread: a decorator's object is shared
        _state.enabled = self.enables

    def __exit__(self, *exc_info: object) -> None:
        *_state.outer, _state.enabled = _state.outer


class enable_grad(no_grad):  # noqa: N801 - PyTorch's name
    """Inside this block (or decorated function) graphs are built, also within ``no_grad``."""

    enables = True


class Result:
    """What the graph remembers of a tensor that an operation made: which operation, and what a gradient must look like.

    Not the numbers: a backward that needs them has saved them. Batch-norm saves its input, and the ReLU after it its
    output; what lies between them is free as soon as the ReLU has run.
    """

    __slots__ = ("device", "dtype", "node", "seen", "shape")
    requires_grad = True

    def __init__(self, tensor: Tensor) -> None:
        array = tensor.data
        self.node, self.shape, self.dtype, self.device = tensor.node, array.shape, array.dtype, device_of(array)
        self.seen = None  # who measures memory asks whether the numbers are still there
        if self.device == "cpu":
            while isinstance(array.base, np.ndarray):
                array = array.base
            self.seen = weakref.ref(array)


class Context:
    """What one operation remembers between its forward and its backward. A forward may set attributes on it freely.

    Attributes
    ----------
    inputs : sequence of Tensor, Result or None
        Leaves as they are; after the forward, of what other operations made only a :class:`Result`.
    needs_input_grad : tuple of bool
        Which inputs want a gradient; a backward may return None for the others.
    saved : tuple of numpy.ndarray
        What ``save_for_backward`` was given (``saved_tensors``, PyTorch's name, is the same).
    """

    def __init__(self, function: type[Function], inputs: Sequence[Tensor | None]) -> None:
        self.function = function
        self.inputs = inputs
        enabled = grad_enabled()
        self.needs_input_grad = tuple([t is not None and t.requires_grad and enabled for t in inputs])
        self.order = next(_creation_order)
        self.saved: tuple = ()
        self.freed = False
        self.retained_by: Tensor | None = None
        self.modules = running.modules()  # the layers around it, if someone looks on

    def save_for_backward(self, *arrays: np.ndarray | None) -> None:
        self.saved = tuple([np.asarray(a) if isinstance(a, np.generic) else a for a in arrays])  # NumPy's 0-d results

    @property
    def saved_tensors(self) -> tuple:
        return self.saved

    def free(self) -> None:
        """Let go of inputs and saved arrays, so that their memory can be used again."""
        order, function = self.order, self.function
        self.__dict__.clear()
        self.order, self.function, self.freed, self.retained_by = order, function, True, None


class Function:
    """A differentiable operation on arrays. Subclass it to add your own::

        class Square(mc.Function):
            @staticmethod
            def forward(ctx, x):                 # plain arrays in, one array out; options by keyword
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, grad):             # d loss / d output in, d loss / d input out, one per input
                (x,) = ctx.saved
                return 2 * x * grad

        y = Square.apply(x)                      # tensors (or arrays, numbers) in, tensor out

    Rules: never change an input or ``grad`` in place; ``backward`` may return None for an input that needs no gradient
    (``ctx.needs_input_grad``). A gradient that is larger than its input because the forward broadcast is summed over
    the broadcast axes by the engine.
    """

    def __init__(self, *inputs, **options) -> None:
        name = type(self).__name__
        raise ArgumentError(f"a Function is applied, not made: write {name}.apply(x) where you wrote {name}(x)")

    @staticmethod
    def forward(ctx: Context, *arrays: np.ndarray, **options) -> np.ndarray:
        raise UnfinishedError(f"{ctx.function.__name__} needs a static forward(ctx, *arrays, **options)")

    @staticmethod
    def backward(ctx: Context, grad: np.ndarray):
        raise UnfinishedError(
            f"{ctx.function.__name__} needs a static backward(ctx, grad), with one gradient per input"
        )

    @classmethod
    def apply(cls, *inputs, **options) -> Tensor:
        """Run ``forward`` and record it if any input requires a gradient.

        Raises
        ------
        DtypeError
            If float32 and float64 tensors meet, or ``forward`` returns another floating dtype than it was given.
        """
        for name, value in options.items():
            if isinstance(value, Tensor):
                raise ArgumentError(
                    f"{cls.__name__}.apply: {name} is a tensor, which would get no gradient as an option; "
                    f"pass tensors by position"
                )
        tensors, dtype = _as_tensors(cls, inputs)
        ctx, watchers, no_numbers = Context(cls, tensors), running.watchers(), shapes.wanted()
        for watcher in watchers:
            watcher.forward_begins(ctx, options)
        with np.errstate(all="ignore"):  # NaN and infinity pass through in silence, as in PyTorch
            arrays = [None if t is None else t.data for t in tensors]
            given, named = arrays, options
            if no_numbers:
                given = map(as_blank, arrays)
                named = {name: as_blank(v) if is_array(v) else v for name, v in options.items()}
            out = _one_array(cls, cls.forward(ctx, *given, **named))
        if no_numbers and any(out.strides):  # what NumPy computed, not a kernel: nobody asks for the numbers
            out = shapes.blank(out.shape, out.dtype)
        for watcher in watchers:
            watcher.forward_ends(ctx, arrays, out)
        if dtype is not None and out.dtype != dtype and out.dtype in FLOATS and not hasattr(cls, "changes_dtype"):
            raise DtypeError(
                f"{cls.__name__}.forward returned {out.dtype} for {dtype} inputs; NumPy's own float64 scalars do that: "
                f"use Python floats, or return out.astype(x.dtype)"
            )
        result = Tensor(out, requires_grad=any(ctx.needs_input_grad) and out.dtype in FLOATS)
        if result.requires_grad:
            result.node = ctx
            ctx.inputs = tuple([t if t is None or t.node is None else Result(t) for t in tensors])
        return result


def _as_tensors(function: type[Function], inputs: Sequence) -> tuple[list[Tensor | None], np.dtype | None]:
    """Inputs as tensors, Python numbers in the dtype of the floating tensors beside them, which must agree."""
    dtype = None
    for i in inputs:
        if i is not None and (isinstance(i, Tensor) or is_array(i)) and (found := i.dtype) in FLOATS:
            if dtype is not None and found != dtype:
                names = " and ".join(sorted({str(i.dtype) for i in inputs if getattr(i, "dtype", None) in FLOATS}))
                raise DtypeError(
                    f"{function.__name__} was given {names}; convert one side, e.g. x.to('float32'), or the model with "
                    f"model.to('float64')"
                )
            dtype = found
    tensors = [None if i is None else as_tensor(i, dtype) for i in inputs]
    for t in tensors:
        if t is not None and type(t.data) is not np.ndarray and not shapes.wanted():
            return _on_one_device(function, tensors), dtype
    return tensors, dtype


def _on_one_device(function: type[Function], tensors: list[Tensor | None]) -> list[Tensor | None]:
    """Single numbers come along to where the others are; anything larger is moved by whoever knows what that costs."""
    devices = {t.device: t.shape for t in tensors if t is not None and (t.ndim or t.device != "cpu")}
    if len(devices) > 1:
        places = " and ".join(f"shape {shape} on {device}" for device, shape in devices.items())
        to = next(device for device in devices if device != "cpu")
        raise DeviceError(f"{function.__name__} was given {places}; move one of them, e.g. x.to({to!r})")
    (device,) = devices
    return [t if t is None or t.device == device else Tensor(number_on(device, t.item(), t.dtype)) for t in tensors]


def _one_array(function: type[Function], out) -> np.ndarray:
    array = None if isinstance(out, (tuple, list)) else plain_array(out)
    if array is None or array.dtype.kind not in "fiub":
        hint = "; is its return missing?" if out is None else ""
        raise DtypeError(
            f"{function.__name__}.forward must return one array of numbers, but returned {type(out).__name__}{hint}"
        )
    return array


def sum_to_shape(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo broadcasting: sum over the axes along which an input of ``shape`` was repeated (in float64)."""
    extra = grad.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and grad.shape[extra + i] != 1))
    return grad.sum(axes, dtype=np.float64, keepdims=True).reshape(shape) if axes else grad


def run_backward(root: Tensor, grad, retain_graph: bool, create_graph: bool) -> None:
    """Push ``grad`` from ``root`` back to the leaves. See :meth:`Tensor.backward`.

    The newest operation goes first. All uses of a result are newer than the operation that made it, so when an
    operation is reached its gradient is complete: creation order is a topological order, and no recursion is needed.
    """
    if create_graph:
        raise GraphError("create_graph=True: minicnn has no second derivatives; use gradcheck or a finite difference")
    grad = _starting_gradient(root, grad)
    if root.node is None:
        _add_to_leaf(root, grad, may_alias=(grad,))
        return
    with np.errstate(all="ignore"), running.walking(root):
        _walk(root.node, grad, retain_graph)


def _walk(newest: Context, grad: np.ndarray, retain_graph: bool) -> None:
    pending = {newest: grad}  # complete or growing gradients of the results of these operations
    owned: set[Context] = set()  # those whose gradient array the engine allocated, and may add into
    queue, watchers = [(-newest.order, newest)], running.watchers()
    while queue:
        node = heapq.heappop(queue)[1]
        grad = pending.pop(node)
        owned.discard(node)
        if node.freed:
            raise GraphError(
                f"the graph behind {node.function.__name__} was freed by an earlier backward; run the forward again, "
                f"or call the first backward with retain_graph=True"
            )
        if (kept := node.retained_by) is not None:
            kept.grad = grad.copy(order="K") if kept.grad is None else kept.grad + grad
        for watcher in watchers:
            watcher.backward_begins(node)
        parts = _input_gradients(node, grad)
        for watcher in watchers:
            watcher.backward_ends(node, grad, parts)
        part, known = None, None
        for i, (tensor, part) in enumerate(zip(node.inputs, parts)):
            if part is None:
                continue
            if tensor.node is None:
                known = known or _known_arrays(node, grad)
                _add_to_leaf(tensor, part, may_alias=(*known, *parts[:i]))
            elif tensor.node not in pending:
                pending[tensor.node] = part  # borrowed: it may be the very array another branch was given
                heapq.heappush(queue, (-tensor.node.order, tensor.node))
            elif shapes.wanted():
                pass  # the sum looks like what is there
            elif tensor.node in owned:
                pending[tensor.node] += part
            else:
                pending[tensor.node] = plain_array(add(pending[tensor.node], part))
                owned.add(tensor.node)
        if not retain_graph:
            node.free()
        del grad, parts, part, known  # they would outlive their use by one operation


def _known_arrays(node: Context, grad: np.ndarray) -> list[np.ndarray]:
    """What a backward may hand on as a gradient though it is somebody else's array."""
    leaves = [t.data for t in node.inputs if t is not None and t.node is None]
    return [a for a in (grad, *node.saved, *vars(node).values(), *leaves) if isinstance(a, type(grad))]


def _starting_gradient(root: Tensor, grad) -> np.ndarray:
    if not root.requires_grad:
        raise GraphError(
            "backward on a tensor that depends on nothing with requires_grad=True (or that was computed under no_grad)"
        )
    if grad is None:
        if root.size != 1:
            raise GraphError(
                f"backward without a gradient takes a single number, such as a loss; this tensor has shape "
                f"{root.shape}: reduce it, e.g. .mean() or .sum(), or pass a gradient of that shape"
            )
        return np.ones_like(root.data)
    grad = as_array(grad)
    if device_of(grad) != root.device:
        raise DeviceError(f"backward was given a gradient on {device_of(grad)} for a tensor on {root.device}; move it")
    if grad.dtype.kind not in "fiu":
        hint = "; by name: retain_graph=True" if grad.dtype.kind == "b" else ""
        raise DtypeError(f"backward takes a gradient of numbers first, got {grad.dtype}{hint}")
    if grad.shape != root.shape:
        raise ShapeError(f"backward was given a gradient of shape {grad.shape} for a tensor of shape {root.shape}")
    return grad.astype(root.dtype, copy=False)


def _input_gradients(node: Context, grad: np.ndarray) -> list[np.ndarray | None]:
    """Call the function's backward, and check what it returns: one gradient per input, of its shape and dtype."""
    name = node.function.__name__
    parts = node.function.backward(node, as_blank(grad) if shapes.wanted() else grad)
    if parts is None:
        raise ShapeError(
            f"{name}.backward returned None, no gradients for {len(node.inputs)} inputs; is its return missing?"
        )
    parts = parts if isinstance(parts, (tuple, list)) else (parts,)
    if len(parts) != len(node.inputs):
        raise ShapeError(f"{name}.backward returned {len(parts)} gradients for {len(node.inputs)} inputs")
    checked: list[np.ndarray | None] = []
    for i, (tensor, part, needed) in enumerate(zip(node.inputs, parts, node.needs_input_grad)):
        if not needed or part is None:
            checked.append(None)
            continue
        part = plain_array(part)
        if device_of(part) != tensor.device and not shapes.wanted():
            raise DeviceError(
                f"{name}.backward returned a gradient on {device_of(part)} for input {i} on {tensor.device}"
            )
        if part.dtype.kind not in "fiub":
            raise DtypeError(f"{name}.backward returned a gradient of {part.dtype} for input {i} of {tensor.dtype}")
        if part.shape != tensor.shape:
            try:
                fits = np.broadcast_shapes(part.shape, tensor.shape) == part.shape
            except ValueError:
                fits = False
            if not fits:
                raise ShapeError(
                    f"{name}.backward returned a gradient of shape {part.shape} for input {i} of shape {tensor.shape}"
                )
            part = sum_to_shape(as_blank(part) if shapes.wanted() else part, tensor.shape)
        checked.append(part if part.dtype == tensor.dtype else part.astype(tensor.dtype))
    return checked


def _add_to_leaf(leaf: Tensor, part: np.ndarray, may_alias: Sequence) -> None:
    """Accumulate into ``leaf.grad``, which must be nobody else's array: it is the user's to change."""
    if shapes.wanted():
        leaf.grad = part
    elif leaf.grad is not None:
        leaf.grad = plain_array(add(leaf.grad, part))  # NumPy makes scalars of 0-d sums
    elif any([isinstance(a, type(part)) and np.may_share_memory(part, a) for a in may_alias]):
        leaf.grad = part.copy(order="K")
    else:
        leaf.grad = part
