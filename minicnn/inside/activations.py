"""What layers give, by their paths."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..autograd import no_grad
from ..errors import ArgumentError
from ..nn import Module, ModuleList
from ..tensor import Tensor
from .scores import as_batch, check_model, examined


@contextlib.contextmanager
def capturing(op: str, model: Module, layers: Sequence[str] | None = None) -> Iterator[dict[str, Tensor]]:
    """In this block every run of the model fills a dict: path of a layer -> the tensor that it gave.

    Forward hooks do it; they are taken away at the end, whatever happens. Without ``layers``: all of them, but for
    those that give something else than one tensor. Of a layer that runs several times the last result is kept.
    """
    check_model(op, model)
    modules = {path: m for path, m in model.named_modules() if not isinstance(m, ModuleList)}  # a list is never called
    for path in layers or ():
        if not isinstance(path, str):
            raise ArgumentError(f"{op}: a layer is named by its path, such as 'layer1'; got {path!r}")
        if path not in modules:
            raise ArgumentError(f"{op}: there is no layer {path!r}; {like(path, modules)}")
    caught: dict[str, Tensor] = {}

    def catch(path: str):
        def hook(module, inputs, output) -> None:
            if isinstance(output, Tensor):
                caught.pop(path, None)  # so that the dict is in the order of the results
                caught[path] = output
            elif layers is not None:
                raise ArgumentError(f"{op}: the layer {path!r} gives {type(output).__name__}, not one tensor")

        return hook

    with contextlib.ExitStack() as hooks:
        for path in modules if layers is None else layers:
            hooks.enter_context(modules[path].register_forward_hook(catch(path)))
        yield caught


def like(path: object, modules: Iterable[str]) -> str:
    """The end of a message about an unknown layer: those with a similar name, or the outermost ones in their order."""
    known = [name for name in modules if name]
    close = difflib.get_close_matches(str(path), known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    depth = next((d for d in (2, 1) if sum(n.count(".") < d for n in known) <= 25), 1)
    outer = [name for name in known if name.count(".") < depth]
    more = f"; inside them {len(known) - len(outer)} more" if len(outer) < len(known) else ""
    return f"there are {', '.join(outer[:25])}{more}"


def one_layer(op: str, caught: dict[str, Tensor], layer: str) -> Tensor:
    """The result of a layer that must have run."""
    if layer not in caught:
        raise ArgumentError(f"{op}: the layer {layer!r} did not run; auxiliary heads rest in evaluation")
    return caught[layer]


def activations(model: Module, image, layers: str | Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Run a model on one image and keep what its layers give.

    Parameters
    ----------
    model : Module
        Run in evaluation mode, and left in the mode it was in.
    image : array, (C, H, W)
        Prepared as the model wants it.
    layers : str or list of str, optional
        Paths as in ``model.named_modules()``, such as ``"layer1.0.conv2"``. Left out: all layers, in the order in which
        they finish.

    Returns
    -------
    dict of str to array
        Without the batch axis: feature maps (C, H, W), vectors (K,). Copies.

    Raises
    ------
    ArgumentError
        There is no such layer, or it did not run.

    Examples
    --------
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> {path: maps.shape for path, maps in activations(model, np.ones((1, 8, 8)), "1").items()}
    {'1': (4, 6, 6)}
    """
    op = "activations"
    x = as_batch(op, model, image)
    wanted = layers if layers is None or isinstance(layers, (list, tuple)) else [layers]
    with capturing(op, model, wanted) as caught, examined(model), no_grad():
        model(Tensor(x))
    paths = [path for path in caught if path] if wanted is None else wanted
    return {path: np.array(one_layer(op, caught, path).data[0], order="C") for path in paths}


def stages(maps: dict[str, np.ndarray], most: int = 3) -> list[str]:
    """Up to ``most`` layers from the first stage of a network to its last, of all its :func:`activations`.

    A stage is the layers whose maps have one size. Of each the last layer is taken that lies least deep in the nesting
    of modules: ``layer1`` rather than ``layer1.2.conv3``.
    """
    last: dict[tuple[int, int], str] = {}
    for path, array in maps.items():
        if array.ndim == 3 and array[0].size > 1:
            size = array.shape[1:]
            if size not in last or path.count(".") <= last[size].count("."):
                last[size] = path
    found = list(last.values())
    chosen = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    return [found[i] for i in chosen]
