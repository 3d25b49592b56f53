"""Every kernel, in every room, on drawn shapes: the rooms are held against the plain one, which is the definition.

One test walks ``KERNELS``. For each name, ``CASES`` draws a call as a user of the package would make it: logical
(N, C, H, W) arrays of any memory layout, then the options.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minicnn import kernels

KERNELS, UPDATED = kernels.KERNELS, kernels.layout.UPDATED
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}  # of the norm
SETTINGS = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


class Draw:
    """One drawn call: a dtype, a source of numbers, and shorthand for drawing."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.dtype = np.dtype(self.of(np.float32, np.float64))
        self.rng = np.random.default_rng(self.int(0, 2**16))

    def of(self, *values):
        return self._data.draw(st.sampled_from(values))

    def int(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.int(low, high), self.int(low, high)

    def array(self, *shape: int, layout: str | None = None, positive: bool = False, scale: float = 1) -> np.ndarray:
        """Normal numbers in a drawn memory layout; half of the time rounded, so that there are ties and zeros."""
        values = self.rng.standard_normal(shape) * scale
        values = values if self.of(True, False) else np.round(values)
        values = (np.abs(values) if positive else values).astype(self.dtype)
        return in_layout(values, layout or self.of("contiguous", "channels last", "strided", "reversed"))

    def image(self, n_max: int = 3, c_max: int = 5, size: int = 9) -> np.ndarray:
        return self.array(self.int(0, n_max), self.int(1, c_max), *self.pair(1, size))


def in_layout(values: np.ndarray, layout: str) -> np.ndarray:
    if layout == "channels last" and values.ndim == 4:
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "strided":  # every second element along the last axis, starting in the middle of the memory
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1] + 1), values.dtype)
        wide[..., 1::2] = values
        return wide[..., 1::2]
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1])[::-1]
    return values


def window(draw: Draw, pooling: bool = False):
    """Size (H, W), kernel size, stride, padding, dilation with at least one output."""
    while True:
        size, kernel_size, stride, dilation = draw.pair(1, 10), draw.pair(1, 4), draw.pair(1, 3), draw.pair(1, 3)
        padding = tuple(draw.int(0, 3 if not pooling else kernel_size[i // 2] // 2) for i in range(4))
        if min(sizes_out(size, kernel_size, stride, padding, dilation)) >= 1:
            return size, kernel_size, stride, padding, dilation


def sizes_out(size, kernel_size, stride, padding, dilation, ceil_mode=False):
    """PyTorch's output size; in ``ceil_mode`` the last window must start inside the image or the padding before it."""
    out = []
    for i in range(2):
        before, after = padding[2 * i : 2 * i + 2]
        reach = size[i] + before + after - dilation[i] * (kernel_size[i] - 1) - 1
        o = (reach + (stride[i] - 1 if ceil_mode else 0)) // stride[i] + 1
        out.append(o - 1 if ceil_mode and (o - 1) * stride[i] >= size[i] + before else o)
    return tuple(out)


def convolution(draw: Draw):
    size, kernel_size, stride, padding, dilation = window(draw)
    if draw.of(True, False, False):  # what 1x1 layers have, and a path of its own
        kernel_size, padding, dilation = (1, 1), (0, 0, 0, 0), (1, 1)
    groups = draw.of(1, 1, 2, 3)
    kind = draw.of("dense", "dense", "depthwise")
    cg = 1 if kind == "depthwise" else draw.of(1, 2, 5)
    og = draw.of(1, 2, 3, 128)  # 128: more than one piece of the outputs
    n, (oh, ow) = draw.int(0, 3), sizes_out(size, kernel_size, stride, padding, dilation)
    shapes = (n, cg * groups, *size), (og * groups, cg, *kernel_size), (n, og * groups, oh, ow)
    return shapes, (size, kernel_size, stride, padding, dilation, groups)


def conv2d(draw):
    (x, w, y), (_, _, *options) = convolution(draw)
    return draw.array(*x), draw.array(*w), draw.of(None, draw.array(y[1])), *options


def conv2d_input_grad(draw):
    (_, w, y), (size, _, *options) = convolution(draw)
    return draw.array(*y), draw.array(*w), size, *options


def conv2d_weight_grad(draw):
    (x, _, y), (_, *options) = convolution(draw)
    return draw.array(*y), draw.array(*x), *options


def im2col(draw):
    size, *options = window(draw)
    return draw.array(draw.int(0, 3), draw.int(1, 5), *size), *options


def col2im(draw):
    size, *options = window(draw)
    n, c, (oh, ow) = draw.int(0, 3), draw.int(1, 5), sizes_out(size, *options)
    return draw.array(n * oh * ow, options[0][0] * options[0][1] * c), (n, c, *size), *options


def matmul(draw):
    b = draw.int(1, 3)
    m, k, n = (draw.of(1, 2, 7, 40, 150) for _ in range(3))
    transpose_a, transpose_b = draw.of(True, False), draw.of(True, False)
    a, b = (b, k, m) if transpose_a else (b, m, k), (b, n, k) if transpose_b else (b, k, n)
    return draw.array(*a), draw.array(*b), transpose_a, transpose_b


def max_pool2d(draw):
    size, *options = window(draw, pooling=True)
    out = sizes_out(size, *options, ceil_mode=draw.of(True, False))
    return draw.array(draw.int(0, 3), draw.int(1, 20), *size), *options, out


def max_pool2d_backward(draw):
    x, *options, out = max_pool2d(draw)
    y, index = KERNELS["max_pool2d"].function("plain")(x, *options, out)
    return draw.array(*y.shape), index, x.shape[2:], *options


def average_window(draw):
    while True:
        size, kernel_size, stride, padding, _ = window(draw, pooling=True)
        options, out = (kernel_size, stride, padding), None
        if min(sizes_out(size, *options, (1, 1))) >= 1:
            out = sizes_out(size, *options, (1, 1), ceil_mode=draw.of(True, False))
            return (draw.int(0, 3), draw.int(1, 5), *size), options, out


def avg_pool2d(draw):
    shape, options, out = average_window(draw)
    count_include_pad = draw.of(True, False)
    return draw.array(*shape), *options, out, count_include_pad


def avg_pool2d_backward(draw):
    shape, options, out = average_window(draw)
    return draw.array(*shape[:2], *out), shape[2:], *options, draw.of(True, False)


def adaptive_avg_pool2d(draw):
    return draw.image(), draw.pair(1, 7)


def adaptive_avg_pool2d_backward(draw):
    return draw.image(), draw.pair(1, 12)


def channels(draw):
    return (draw.array(draw.int(1, 3), draw.int(1, 5), *draw.pair(1, 9)),)


def batch_norm(draw):
    (x,) = channels(draw)
    c = x.shape[1]
    mean, var = draw.rng.standard_normal(c), draw.rng.random(c) + 0.1
    return x, mean, var, draw.array(c), draw.array(c), 1e-5


def batch_norm_backward(draw):
    x, mean, var, weight, _, eps = batch_norm(draw)
    return draw.array(*x.shape), x, mean, var, weight, eps, draw.of(True, False)


def batch_norm_relu(draw):
    *arrays, eps = batch_norm(draw)
    return *arrays, draw.of(None, draw.array(*arrays[0].shape)), eps, draw.of(np.inf, 6.0)


def batch_norm_relu_backward(draw):
    *arrays, eps = batch_norm(draw)
    return draw.array(*arrays[0].shape), *arrays, eps, draw.of(True, False), draw.of(np.inf, 6.0)


def local_response_norm(draw):
    return draw.image(c_max=9), draw.int(1, 7), draw.of(1e-4, 0.3), draw.of(0.75, 0.5, 1.3), draw.of(1.0, 2.0)


def local_response_norm_backward(draw):
    x, *options = local_response_norm(draw)
    return draw.array(*x.shape), x, *options


def one_of_any_shape(draw):
    shape = draw.of((0,), (1,), (7,), (3, 4), (2, 3, 4, 5), (5, 17, 3, 3), (1, 1, 1, 1), (0, 3, 2, 2))
    return (draw.array(*shape, scale=draw.of(1, 4)),)


def two_of_any_shape(draw):
    (a,) = one_of_any_shape(draw)
    return draw.array(*a.shape), a


def softmax_cross_entropy(draw):
    n, k = draw.int(0, 6), draw.int(1, 12)
    logits = draw.array(n, k, scale=draw.of(1, 100))
    return logits, draw.rng.integers(0, k, n), draw.of(0.0, 0.1, 1.0)


def softmax_cross_entropy_backward(draw):
    logits, labels, smoothing = softmax_cross_entropy(draw)
    return draw.array(len(logits)), draw.array(*logits.shape, positive=True), labels, smoothing


def dropout(draw):
    return *one_of_any_shape(draw), draw.of(0.0, 0.25, 0.5, 1.0), draw.int(0, 2**64 - 1), draw.int(0, 2**64 - 1)


def sgd_update(draw):
    param, grad = two_of_any_shape(draw)
    velocity = draw.of(None, draw.array(*param.shape))
    return param, grad, velocity, 0.1, draw.of(0.0, 0.9), draw.of(0.0, 0.01), draw.of(True, False)


def adam_update(draw):
    param, grad = two_of_any_shape(draw)
    averages = draw.array(*param.shape), draw.array(*param.shape, positive=True)
    options = (0.01, 0.9, 0.999, 1e-3, draw.of(0.0, 0.1), draw.int(1, 100), draw.of(True, False))
    return param, grad, *averages, *options


def rmsprop_update(draw):
    param, grad = two_of_any_shape(draw)
    mean, velocity = draw.array(*param.shape), draw.of(None, draw.array(*param.shape))
    square = 0.5 + mean * mean  # a mean square is no smaller than the mean's square; near it, digits cancel
    options = (0.01, 0.9, 1e-3, draw.of(0.0, 0.1), draw.of(0.0, 0.9), draw.of(True, False))
    return param, grad, square, draw.of(None, mean), velocity, *options


CASES = {
    case.__name__: case
    for case in (
        (conv2d, conv2d_input_grad, conv2d_weight_grad, im2col, col2im, matmul)
        + (max_pool2d, max_pool2d_backward, avg_pool2d, avg_pool2d_backward)
        + (adaptive_avg_pool2d, adaptive_avg_pool2d_backward, batch_norm, batch_norm_backward)
        + (batch_norm_relu, batch_norm_relu_backward)
        + (local_response_norm, local_response_norm_backward)
        + (softmax_cross_entropy, softmax_cross_entropy_backward, dropout)
        + (sgd_update, adam_update, rmsprop_update)
    )
}
CASES |= dict.fromkeys(("channel_sum", "channel_stats"), channels)
CASES |= dict.fromkeys(("relu", "relu6"), one_of_any_shape)
CASES |= dict.fromkeys(("relu_backward", "relu6_backward"), two_of_any_shape)
CASES["leaky_relu"] = lambda draw: (*one_of_any_shape(draw), 0.1)
CASES["leaky_relu_backward"] = lambda draw: (*two_of_any_shape(draw), 0.1)

OTHER_ROOMS = [room for room in kernels.rooms.ROOMS if room != "plain"]


def copies(args: tuple) -> list:
    """The arguments, arrays copied with their memory layout: one room's in-place updates must not reach the next."""
    return [copy_with_layout(a) if isinstance(a, np.ndarray) else a for a in args]


def copy_with_layout(a: np.ndarray) -> np.ndarray:
    fresh = np.empty_like(a)  # keeps transposes, but closes gaps
    fresh[...] = a
    if fresh.strides == a.strides:
        return fresh
    return in_layout(fresh, "strided" if a.strides[-1] > a.itemsize else "reversed")


def call(name: str, room: str, args: tuple) -> list[np.ndarray]:
    """The results, and the UPDATED arguments after the call; all other arguments must be as they were."""
    kernel = KERNELS[name]
    before = copies(args)
    used = copies(args)
    with kernels.use_room(room):
        results = kernel(*used)
    out = list(results) if isinstance(results, tuple) else [] if results is None else [results]
    for argument, original, role in zip(used, before, kernel.roles, strict=False):
        if role == UPDATED and argument is not None:
            out.append(argument)
        elif argument is not None:
            np.testing.assert_array_equal(argument, original, err_msg=f"{name} in room {room} changed an argument")
    return out


def assert_agree(name: str, results: list, expected: list, dtype: np.dtype) -> None:
    assert len(results) == len(expected)
    for got, want in zip(results, expected, strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype, (name, got.shape, want.shape, got.dtype, want.dtype)
        if name == "dropout" or want.dtype.kind == "i":
            np.testing.assert_array_equal(got, want)
        elif want.size:
            finite = np.isfinite(want)  # the maximum of a window without pixels is -inf
            np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=name)
            size = np.linalg.norm(want[finite].astype(np.float64))
            distance = np.linalg.norm(got[finite].astype(np.float64) - want[finite])
            assert distance <= TOLERANCE[dtype] * max(size, 1e-3), (name, distance, size)


def test_every_kernel_has_a_case():
    """A kernel added to KERNELS without a drawn case would never be compared."""
    assert CASES.keys() == KERNELS.keys()


@pytest.mark.parametrize("room", OTHER_ROOMS)
@pytest.mark.parametrize("name", KERNELS)
def test_rooms_agree(name, room):
    """Guards the promise that a student may read the plain room and run the fast one: same names, same numbers."""

    @SETTINGS
    @given(st.data())
    def agree(data):
        draw = Draw(data)
        args = tuple(CASES[name](draw))
        assert_agree(name, call(name, room, args), call(name, "plain", args), draw.dtype)

    agree()
