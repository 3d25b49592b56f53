"""What all of these functions share: one image in, a class's score out, and the model left as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ..autograd import enable_grad, no_grad
from ..errors import ArgumentError, DataError, ShapeError
from ..nn import Module
from ..nn.modes import evaluating
from ..ops import checks
from ..tensor import Tensor, as_array


@contextlib.contextmanager
def examined(model: Module) -> Iterator[None]:
    """In this block the model is in evaluation mode and its parameters want no gradients: only the image does.

    Afterwards every module is in the mode, and every parameter as ready to learn, as it was.
    """
    learning = [p for p in model.parameters() if p.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad = False
        with evaluating(model), enable_grad():
            yield
    finally:
        for parameter in learning:
            parameter.requires_grad = True


def check_model(op: str, model) -> None:
    if not isinstance(model, Module):
        hint = f"; make one, {model.__name__}(...)" if isinstance(model, type) else ""
        raise ArgumentError(f"{op} takes a model, got {model!r}{hint}")


def as_batch(op: str, model: Module, image) -> np.ndarray:
    """One image (C, H, W) as a batch (1, C, H, W) of the model's dtype; a model without parameters takes any."""
    check_model(op, model)
    array = as_array(image)
    if array.ndim != 3:
        hint = "; of a batch take one: images[0]" if array.ndim == 4 else ""
        raise ShapeError(f"{op} takes one image (C, H, W), got shape {array.shape}{hint}")
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{op} takes an image of numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise DataError(f"{op}: the image holds NaN or infinity")
    own = array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)
    dtype = next((p.dtype for p in model.parameters()), own)
    return array.astype(dtype)[None]  # a copy: nobody writes into the caller's image


def check_logits(op: str, out, n: int) -> Tensor:
    """What a classifier gives for ``n`` images: (n, classes)."""
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != n:
        got = f"shape {out.shape}" if isinstance(out, Tensor) else type(out).__name__
        raise ShapeError(f"{op} takes a classifier, which gives (N, classes); of {n} images this model made {got}")
    return out


def choose(op: str, logits: np.ndarray, target: int | None) -> int:
    """The class that is asked for, or else the one with the largest score.

    Parameters
    ----------
    logits : array, (classes,)
    """
    if target is None:
        return int(logits.argmax())
    target = checks.whole(op, "target", target, least=0)
    if target >= len(logits):
        raise ArgumentError(f"{op}: target={target}, but the model knows {len(logits)} classes, 0 to {len(logits) - 1}")
    return target


def backward_from_class(op: str, model: Module, image, target: int | None) -> np.ndarray:
    """Run the model, go back from the score of one class (its logit, before softmax), to the image: (C, H, W)."""
    x = Tensor(as_batch(op, model, image), requires_grad=True)
    with examined(model):
        logits = check_logits(op, model(x), 1)
        logits[0, choose(op, logits.data[0], target)].backward()
    return gradient_of(x)


def gradient_of(x: Tensor) -> np.ndarray:
    """(C, H, W); zeros if the walk back never came to the image."""
    return np.zeros_like(x.data[0]) if x.grad is None else np.ascontiguousarray(x.grad[0])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, in float64."""
    e = np.exp(np.asarray(logits, np.float64) - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def probabilities(op: str, model: Module, image) -> np.ndarray:
    """(classes,)"""
    x = as_batch(op, model, image)
    with examined(model), no_grad():
        return softmax(check_logits(op, model(Tensor(x)), 1).data[0])


def top_classes(model: Module, image, n: int = 5) -> list[tuple[int, float]]:
    """The most probable classes and their probabilities, best first.

    Parameters
    ----------
    model : Module
    image : array, (C, H, W)
        Prepared as the model wants it.
    n : int
        How many; fewer if the model knows fewer classes.
    """
    found = probabilities("top_classes", model, image)
    best = np.argsort(-found, kind="stable")[: checks.whole("top_classes", "n", n)]
    return [(int(k), float(found[k])) for k in best]
