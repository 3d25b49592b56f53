"""Losses: cross-entropy on logits, mean squared error."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..autograd import Function
from ..device import device_of, sent, to_numpy
from ..errors import LabelError, ShapeError
from ..tensor import Tensor, as_array, as_tensor
from . import checks
from .registry import apply_op, register


@register("cross_entropy")
class CrossEntropy(Function):
    """loss = mean over the batch of  - sum_k t[k] log softmax(z)[k],   t = (1-s) onehot(label) + s / K

    dz = (softmax(z) - t) / N: what the network said minus what it should have said.
    """

    @staticmethod
    def forward(ctx, logits, labels, label_smoothing):
        # of the labels a device holds, cross_entropy() knows that they are classes
        losses, probabilities = kernels.softmax_cross_entropy(logits, labels, label_smoothing, True)  # (N,), (N, K)
        ctx.save_for_backward(probabilities, labels)
        ctx.label_smoothing = label_smoothing
        return losses.mean(dtype=np.float64).astype(logits.dtype)  # (); a GPU does it in one launch

    @staticmethod
    def backward(ctx, grad):
        probabilities, labels = ctx.saved
        n = len(labels)
        each = np.broadcast_to((grad / n).astype(grad.dtype), n)  # (N,)
        return kernels.softmax_cross_entropy_backward(each, probabilities, labels, ctx.label_smoothing, True), None


@register("mse_loss")
class MSELoss(Function):
    """loss = mean of (x - target)^2"""

    @staticmethod
    def forward(ctx, x, target):
        difference = x - target
        ctx.save_for_backward(difference)
        return np.square(difference).mean(dtype=np.float64).astype(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (difference,) = ctx.saved
        dx = difference * (2 / difference.size * grad)
        return dx, -dx


def cross_entropy(logits, labels, label_smoothing: float = 0.0) -> Tensor:
    """The loss of classification: how surprised the softmax of ``logits`` is by the ``labels``, the batch's average.

    Each row's own maximum is subtracted first, so logits of any size are safe.

    Parameters
    ----------
    logits : Tensor, (N, K)
        Scores before any softmax.
    labels : integers, (N,)
        The right class of each row, 0 to K-1.
    label_smoothing : float
        Share s of the target that is spread evenly over all K classes (Szegedy et al. 2016, section 7).

    Raises
    ------
    LabelError
        If a label is not a class, or labels are not whole numbers.
    ShapeError
        If there is not one label per row, or the batch is empty.

    Notes
    -----
    Pass the labels as a NumPy array, also to a model on a GPU: they are looked at before they are sent there. Labels on
    a GPU must be fetched for that, and fetching waits for all that was launched.

    Examples
    --------
    >>> round(cross_entropy([[0.0, 0.0]], [1]).item(), 4)  # knows nothing: log 2
    0.6931
    >>> cross_entropy([[1000.0, 0.0]], [0]).item()
    0.0
    """
    logits, labels = as_tensor(logits), as_array(labels)
    if logits.ndim != 2 or logits.shape[1] == 0:
        hint = "; the labels come second" if labels.ndim == 2 else ""
        raise ShapeError(f"cross_entropy takes logits (N, classes), got shape {logits.shape}{hint}")
    n, classes = logits.shape
    if n == 0:
        raise ShapeError("cross_entropy: the batch is empty; its mean loss is not defined")
    checks.computable("cross_entropy", logits)
    if labels.shape != (n,):
        hint = "; one-hot rows: pass labels.argmax(1)" if labels.shape == (n, classes) else ""
        raise ShapeError(f"cross_entropy: logits {logits.shape} want labels ({n},), got shape {labels.shape}{hint}")
    if labels.dtype.kind not in "fiub":
        raise LabelError(f"cross_entropy: labels are the numbers of the classes, 0 to {classes - 1}, got {labels[0]!r}")
    on_device, labels = labels, to_numpy(labels)
    broken = np.flatnonzero(labels != np.floor(labels)) if labels.dtype.kind == "f" else ()  # NaN too
    if len(broken):
        raise LabelError(f"cross_entropy: labels must be whole numbers, got {labels[broken[0]]} for sample {broken[0]}")
    wrong = ((labels < 0) | (labels >= classes)).nonzero()[0]
    if len(wrong):
        raise LabelError(
            f"cross_entropy: label {labels[wrong[0]]} of sample {wrong[0]} is no class; {classes} logits allow "
            f"0 to {classes - 1}"
        )
    smoothing = checks.number("cross_entropy", "label_smoothing", label_smoothing, high=1, what="a share")
    labels = (on_device if device_of(on_device) == logits.device else labels).astype(np.int64)
    return apply_op("cross_entropy", logits, sent(labels, logits.device), label_smoothing=smoothing)


def mse_loss(x, target) -> Tensor:
    """Mean squared error of two tensors of one shape.

    >>> mse_loss([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """
    x = as_tensor(x)
    target = as_tensor(target)
    if x.shape != target.shape:
        raise ShapeError(f"mse_loss: shapes must be equal, got {x.shape} and {target.shape}")
    if x.size == 0:
        raise ShapeError(f"mse_loss: the batch is empty, shape {x.shape}; its mean loss is not defined")
    return apply_op("mse_loss", x, target)
