"""Drawn calls of layers: convolution, pooling, normalisation, products, activations, losses, dropout."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from minicnn import functional as F

from .case_table import CASES, case
from .helpers import Draw

torch = pytest.importorskip("torch")
TF = torch.nn.functional


# Convolution and pooling ------------------------------------------------------------------------------------------
def axis_sizes(draw: Draw, k_max: int, pad_max: int | None) -> tuple[int, ...]:
    """Size, kernel, stride, dilation and the two paddings along one axis, with at least one output."""
    k, stride, dilation, out = draw.int(1, k_max), draw.int(1, 3), draw.int(1, 2), draw.int(1, 5)
    before, after = draw.pair(0, k // 2 if pad_max is None else pad_max)
    size = (out - 1) * stride + dilation * (k - 1) + 1 - before - after + draw.int(0, stride - 1)
    return max(size, 1), k, stride, dilation, before, after


def convolution(draw: Draw):
    """(Options, shapes of x, weight and bias): dense, grouped, or depthwise with a multiplier."""
    (h, kh, sh, dh, *rows), (w, kw, sw, dw, *columns) = (axis_sizes(draw, 4, 2) for _ in "hw")
    kind = draw.of("dense", "groups", "depthwise", "3x3", "1x1")
    if kind == "3x3":
        h, w, kh, kw, sh, sw, dh, dw = h + 2, w + 2, 3, 3, 1, 1, 1, 1
    if kind == "1x1":
        kh = kw = dh = dw = 1
    groups = {"groups": draw.of(2, 3), "depthwise": draw.of(2, 3, 7)}.get(kind, 1)
    c = groups if kind == "depthwise" else groups * draw.of(1, 2, 3, 16)
    o = groups * (draw.int(1, 3) if kind == "depthwise" else draw.of(1, 2, 5, 24))
    n = draw.of(1, 2, 3, 1, 2, 3, 0)
    options = {"stride": (sh, sw), "dilation": (dh, dw), "groups": groups, "padding": (*rows, *columns)}
    return options, ((n, c, h, w), (o, c // groups, kh, kw), (o,))


def conv2d_calls(padding, **options):
    """Both calls; PyTorch has no padding that differs between the sides, so there it is put around the image first."""
    top, bottom, left, right = padding

    def theirs(x, weight, bias=None):
        return TF.conv2d(TF.pad(x, (left, right, top, bottom)), weight, bias, **options)

    return functools.partial(F.conv2d, padding=padding, **options), theirs


@case
def conv2d(draw):
    options, (x, weight, bias) = convolution(draw)
    arrays = [draw.array(*shape) for shape in (x, weight, bias)]
    return *conv2d_calls(**options), arrays[: draw.of(2, 3)]


def pooling_window(draw: Draw, dilated: bool):
    (h, kh, sh, dh, top, _), (w, kw, sw, dw, left, _) = (axis_sizes(draw, 4, None) for _ in "hw")
    options = {"kernel_size": (kh, kw), "stride": (sh, sw), "padding": (top, left), "ceil_mode": draw.of(False, True)}
    if dilated:
        options["dilation"] = (dh, dw)
    return (draw.int(1, 3), draw.of(1, 2, 5), h, w), options


@case
def max_pool2d(draw):
    shape, options = pooling_window(draw, dilated=True)
    arrays = [draw.array(*shape)]
    if not options["ceil_mode"] and draw.of(False, True):  # uneven padding, which PyTorch does not have
        (top, left), (kh, kw) = options["padding"], options["kernel_size"]
        bottom, right = draw.int(0, kh // 2), draw.int(0, kw // 2)
        ours = functools.partial(F.max_pool2d, **{**options, "padding": (top, bottom, left, right)})
        unpadded = functools.partial(TF.max_pool2d, **{**options, "padding": 0})
        around = (left, right, top, bottom)
        if all(n >= 1 for n in np.array(shape[2:]) + (top + bottom, left + right) - _span(options) + 1):
            return ours, lambda x: unpadded(TF.pad(x, around, value=-np.inf)), arrays
    return _if_it_fits(F.max_pool2d, _max_pool2d, options, arrays)


def _max_pool2d(x, padding, **options):
    """PyTorch's, which remembers a place outside of the image for a window that sees no pixel (a 1x1 image, kernel 2,
    padding 1, dilation 2: pixel 2 of 1), and whose backward then writes to it: over other memory, that is. Where there
    are such windows, padding is added before, as minus infinity.
    """
    with torch.no_grad():
        y, index = TF.max_pool2d(x, padding=padding, **options, return_indices=True)
    if index.numel() == 0 or (0 <= index.min() and index.max() < x.shape[2] * x.shape[3]):
        return TF.max_pool2d(x, padding=padding, **options)
    (top, left), (height, width) = padding, y.shape[2:]
    padded = TF.pad(x, (left, left, top, top), value=-np.inf)
    return TF.max_pool2d(padded, padding=0, **options)[:, :, :height, :width]


def _span(options) -> np.ndarray:
    """Rows and columns that a dilated window reaches over."""
    return np.array(options.get("dilation", (1, 1))) * (np.array(options["kernel_size"]) - 1) + 1


def _if_it_fits(ours, theirs, options, arrays):
    """The calls; an image that is too small for the window (its far padding was not used) gets a window of 1x1."""
    if np.any(np.array(arrays[0].shape[2:]) + 2 * np.array(options["padding"]) < _span(options)):
        options = {**options, "kernel_size": (1, 1), "padding": (0, 0)}
    return functools.partial(ours, **options), functools.partial(theirs, **options), arrays


@case
def avg_pool2d(draw):
    shape, options = pooling_window(draw, dilated=False)
    options["count_include_pad"] = draw.of(True, False)
    return _if_it_fits(F.avg_pool2d, TF.avg_pool2d, options, [draw.array(*shape)])


@case
def adaptive_avg_pool2d(draw):
    rows, columns = draw.pair(1, 7)
    size = draw.of(rows, (rows, columns), (None, columns), (rows, None))
    calls = (functools.partial(f, output_size=size) for f in (F.adaptive_avg_pool2d, TF.adaptive_avg_pool2d))
    return *calls, [draw.array(draw.int(1, 3), draw.of(1, 2, 5), *draw.pair(1, 12))]


# Normalisation ----------------------------------------------------------------------------------------------------
@case
def batch_norm_train(draw):
    c, eps = draw.of(1, 3, 6), draw.of(1e-5, 1e-3)
    x = draw.array(draw.int(2, 4), c, *draw.pair(2, 6), rounded=False)
    arrays = [x, draw.array(c), draw.array(c)]
    calls = (
        (lambda *a: F.batch_norm(a[0], None, None, *a[1:], training=True, eps=eps)),
        (lambda *a: TF.batch_norm(a[0], None, None, *a[1:], training=True, eps=eps)),
    )
    return *calls, arrays[: draw.of(1, 3)]


@case
def batch_norm_eval(draw):
    c = draw.of(1, 3, 6)
    shape = draw.of((2, c), (3, c, 4, 5), (1, c, 1, 1))
    mean, var = draw.rng.standard_normal(c).astype(draw.dtype), (draw.rng.random(c) + 0.1).astype(draw.dtype)
    arrays = [draw.array(*shape), draw.array(c), draw.array(c)][: draw.of(1, 3)]
    calls = (
        (lambda *a: F.batch_norm(a[0], mean, var, *a[1:])),
        (lambda *a: TF.batch_norm(a[0], torch.tensor(mean), torch.tensor(var), *a[1:])),
    )
    return *calls, arrays


@case
def local_response_norm(draw):
    size, alpha, beta, k = draw.int(1, 8), draw.of(1e-4, 0.3), draw.of(0.75, 0.5, 1.3), draw.of(1.0, 2.0)
    average = draw.of(True, False)
    theirs_alpha = alpha if average else alpha * size  # the paper's formula sums; PyTorch's averages
    calls = (
        (lambda x: F.local_response_norm(x, size, alpha, beta, k, average)),
        (lambda x: TF.local_response_norm(x, size, theirs_alpha, beta, k)),
    )
    return *calls, [draw.array(draw.int(1, 3), draw.int(1, 9), *draw.pair(1, 4))]


# Products ---------------------------------------------------------------------------------------------------------
@case
def linear(draw):
    lead, inputs, outputs = draw.of((0,), (1,), (5,), (2, 3), (40,), ()), draw.of(1, 3, 70), draw.of(1, 4, 65)
    arrays = [draw.array(*lead, inputs), draw.array(outputs, inputs), draw.array(outputs)]
    return F.linear, TF.linear, arrays[: draw.of(2, 3)]


@case
def matmul(draw):
    m, k, n = draw.of(1, 2, 3, 40), draw.of(1, 2, 5, 90), draw.of(1, 2, 4, 35)
    a, b = draw.of(
        ((k,), (k,)), ((k,), (k, n)), ((m, k), (k,)), ((m, k), (k, n)), ((2, m, k), (k,)), ((k,), (3, k, n)),
        ((2, m, k), (k, n)), ((m, k), (3, k, n)), ((3, m, k), (3, k, n)), ((2, 1, m, k), (3, k, n)),
        ((1, 3, m, k), (2, 1, k, n)),
    )  # fmt: skip
    return draw.of(F.matmul, lambda x, y: x @ y), torch.matmul, [draw.array(*a), draw.array(*b)]


# Activations and losses -------------------------------------------------------------------------------------------
def _activation(ours, theirs):
    return lambda draw: (ours, theirs, [3 * draw.array(*draw.shape())])


for _name in ("relu", "relu6", "sigmoid", "tanh"):
    CASES[_name] = _activation(getattr(F, _name), getattr(torch, _name, getattr(TF, _name)))


@case
def leaky_relu(draw):
    slope = draw.of(0.01, 0.2, 1.5)
    return (lambda x: F.leaky_relu(x, slope)), (lambda x: TF.leaky_relu(x, slope)), [draw.array(*draw.shape())]


def _along_an_axis(ours, theirs):
    def draw_case(draw):
        shape = draw.shape()
        axis = draw.int(-len(shape), len(shape) - 1)
        return (lambda x: ours(x, axis)), (lambda x: theirs(x, axis)), [draw.of(1, 30) * draw.array(*shape)]

    return draw_case


CASES["softmax"] = _along_an_axis(F.softmax, torch.softmax)
CASES["log_softmax"] = _along_an_axis(F.log_softmax, torch.log_softmax)


@case
def cross_entropy(draw):
    n, k, smoothing = draw.int(1, 6), draw.int(2, 12), draw.of(0.0, 0.1, 1.0)
    labels = draw.rng.integers(0, k, n)
    calls = (
        (lambda x: F.cross_entropy(x, labels, label_smoothing=smoothing)),
        (lambda x: TF.cross_entropy(x, torch.tensor(labels), label_smoothing=smoothing)),
    )
    return *calls, [draw.of(1, 5) * draw.array(n, k)]


@case
def mse_loss(draw):
    shape = draw.shape()
    return F.mse_loss, TF.mse_loss, [draw.array(*shape), draw.array(*shape)]


@case
def dropout_in_evaluation(draw):
    calls = (lambda x: F.dropout(x, 0.5, training=False) * 2), (lambda x: TF.dropout(x, 0.5, False) * 2)
    return *calls, [draw.array(3, 4)]


@case
def dropout_of_everything(draw):
    return (lambda x: F.dropout(x, 1.0)), (lambda x: TF.dropout(x, 1.0)), [draw.array(*draw.shape())]
