"""What a kernel would give, without computing it: arrays of the right shape and dtype that take no memory.

With ``with shapes_only():`` a model of any size can be run in milliseconds, to see the shapes that it makes:
``mc.summary`` does. Every rule stands for a kernel of the same name; the results are zeros that all share one place.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np

from .plain.windows import output_size


class _State(threading.local):
    wanted = False  # of a class: ten times as quick as getattr's default, and every operation asks


_state = _State()


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """In this block kernels compute nothing (in this thread)."""
    before, _state.wanted = _state.wanted, True
    try:
        yield
    finally:
        _state.wanted = before


def wanted() -> bool:
    return _state.wanted


def blank(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros of any shape in the memory of one: all strides are 0, so whoever adds a bias in place changes them all."""
    return np.lib.stride_tricks.as_strided(np.zeros((), dtype), shape, (0,) * len(shape))


def _like(x, *_):
    return blank(x.shape, x.dtype)


def _nothing(*_):
    return None


def _conv2d(x, weight, bias, stride, padding, dilation, groups, algorithm="auto"):
    oh, ow = output_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return blank((x.shape[0], weight.shape[0], oh, ow), x.dtype)


def _conv2d_input_grad(grad, weight, input_size, stride, padding, dilation, groups, algorithm="auto"):
    return blank((grad.shape[0], weight.shape[1] * groups, *input_size), grad.dtype)


def _conv2d_weight_grad(grad, x, kernel_size, stride, padding, dilation, groups, algorithm="auto"):
    return blank((grad.shape[1], x.shape[1] // groups, *kernel_size), grad.dtype)


def _im2col(x, kernel_size, stride, padding, dilation):
    n, c, *size = x.shape
    oh, ow = output_size(size, kernel_size, stride, padding, dilation)
    return blank((n * oh * ow, kernel_size[0] * kernel_size[1] * c), x.dtype)


def _col2im(columns, input_shape, *_):
    return blank(input_shape, columns.dtype)


def _matmul(a, b, transpose_a, transpose_b):
    return blank((a.shape[0], a.shape[2 if transpose_a else 1], b.shape[1 if transpose_b else 2]), a.dtype)


def _max_pool2d(x, kernel_size, stride, padding, dilation, output_size):
    shape = (*x.shape[:2], *output_size)
    return blank(shape, x.dtype), blank(shape, np.int32)


def _max_pool2d_backward(grad, index, input_size, *_):
    return blank((*grad.shape[:2], *input_size), grad.dtype)


def _avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad):
    return blank((*x.shape[:2], *output_size), x.dtype)


def _resized(x, size, *_):
    return blank((*x.shape[:2], *size), x.dtype)


def _channel_sum(x):
    return blank((x.shape[1],), x.dtype)


def _channel_stats(x):
    return blank((x.shape[1],), np.float64), blank((x.shape[1],), np.float64)


def _batch_norm_backward(grad, x, mean, var, weight, *_):
    return _like(grad), blank(weight.shape, weight.dtype), blank(weight.shape, weight.dtype)


def _softmax_cross_entropy(logits, labels, smoothing, checked=False):
    return blank((len(logits),), logits.dtype), _like(logits)


def _softmax_cross_entropy_backward(grad, probabilities, labels, smoothing, checked=False):
    return _like(probabilities)


RULES = {
    "conv2d": _conv2d,
    "conv2d_input_grad": _conv2d_input_grad,
    "conv2d_weight_grad": _conv2d_weight_grad,
    "im2col": _im2col,
    "col2im": _col2im,
    "matmul": _matmul,
    "max_pool2d": _max_pool2d,
    "max_pool2d_backward": _max_pool2d_backward,
    "avg_pool2d": _avg_pool2d,
    "avg_pool2d_backward": _resized,
    "adaptive_avg_pool2d": _resized,
    "adaptive_avg_pool2d_backward": _resized,
    "channel_sum": _channel_sum,
    "channel_stats": _channel_stats,
    "batch_norm": _like,
    "batch_norm_backward": _batch_norm_backward,
    "batch_norm_relu": _like,
    "batch_norm_relu_backward": _batch_norm_backward,
    "local_response_norm": _like,
    "local_response_norm_backward": _like,
    "relu": _like,
    "relu_backward": _like,
    "relu6": _like,
    "relu6_backward": _like,
    "leaky_relu": _like,
    "leaky_relu_backward": _like,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "softmax_cross_entropy_backward": _softmax_cross_entropy_backward,
    "dropout": _like,
    "sgd_update": _nothing,
    "adam_update": _nothing,
    "rmsprop_update": _nothing,
}
