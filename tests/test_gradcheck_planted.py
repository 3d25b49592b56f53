"""Every kind of bug, planted: gradcheck finds it and says what kind it is."""

from __future__ import annotations

import re

import numpy as np
import pytest
from gradcheck_helpers import draw, failure, op, scaled

import minicnn as mc


def matmul(dx=None, dw=None):
    """x @ w with one of the gradients replaced."""
    right_dx, right_dw = (lambda g, x, w: g @ w.T), (lambda g, x, w: x.T @ g)
    return op(lambda x, w: x @ w, lambda g, x, w: ((dx or right_dx)(g, x, w), (dw or right_dw)(g, x, w)))


class BorderConv(mc.Function):
    """A 3x3 convolution with padding 1 whose backward forgets that the padding belongs to the window."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return mc.kernels.conv2d(x, weight, None, (1, 1), (1, 1, 1, 1), (1, 1), 1)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved
        grad = grad.copy()
        grad[..., 0, :] = grad[..., -1, :] = grad[..., 0] = grad[..., -1] = 0
        return mc.kernels.conv2d_input_grad(grad, weight, x.shape[2:], (1, 1), (1, 1, 1, 1), (1, 1), 1), None


def conv(dx_of=lambda w: w, dw_of=lambda dw: dw):
    """A right convolution, but for what is done to the kernel on the way to dx, or to dw."""
    geometry = ((1, 1), (1, 1, 1, 1), (1, 1), 1)
    return op(
        lambda x, w: mc.kernels.conv2d(x, w, None, *geometry),
        lambda g, x, w: (
            mc.kernels.conv2d_input_grad(g, dx_of(w), x.shape[2:], *geometry),
            dw_of(mc.kernels.conv2d_weight_grad(g, x, (3, 3), *geometry)),
        ),
    )


def wrong_channels(channels, factor=0.0):
    def backward(grad, x):
        dx = grad * np.cos(x)
        dx[:, channels] *= factor
        return dx

    return op(np.sin, backward)


def bias_op(backward):
    return op(lambda x, b: np.sin(x + b[:, None, None]), lambda g, x, b: (
        g * np.cos(x + b[:, None, None]), backward(g * np.cos(x + b[:, None, None]))))  # fmt: skip


def overwriting_pick(grad, x):
    dx = np.zeros_like(x)
    dx[[0, 1, 1, 3, 1]] = grad  # should be np.add.at
    return dx


def overlapping_windows(grad, x):
    """A sum over windows of 3, stride 2: the windows overlap."""
    dx = np.zeros_like(x)
    for o in range(grad.shape[1]):
        dx[:, 2 * o : 2 * o + 3] = grad[:, o : o + 1]  # should be +=
    return dx


def window_sums(x):
    return np.stack([x[:, 2 * o : 2 * o + 3].sum(1) for o in range((x.shape[1] - 1) // 2)], 1)


def with_right_neighbour(x):
    y = x.copy()
    y[..., :-1] += x[..., 1:]
    return y


def forgets_the_last_column(grad, x):
    dx = grad.copy()
    dx[..., 1:-1] += grad[..., :-2]  # should be dx[..., 1:] += grad[..., :-1]
    return dx


def loop_over_samples(g, x, w):
    for n in range(len(x)):
        dw = np.outer(x[n], g[n])  # should be +=
    return dw


def mean_of_squares(dx):
    return op(lambda x: np.asarray((x * x).sum(1).mean()), lambda g, x: dx(g, x))


X4 = draw(4, 4, 7, 7)
PLANTED = {
    "constant factor 2": (scaled(2), [draw(3, 4)], "x", "constant factor 2:"),
    "constant factor 1/2": (scaled(0.5), [draw(3, 5)], "x", "constant factor 1/2:"),
    "constant factor of no meaning": (scaled(0.7), [draw(3, 5)], "x", "constant factor 7/10:"),
    "constant factor of one number": (scaled(0.3), [draw(1)], "x", "constant factor 3/10:"),
    "sign": (scaled(-1), [draw(3, 4)], "x", "sign flipped"),
    "zero": (op(np.sin, lambda g, x: (None,)), [draw(3, 4)], "x", "zero gradient"),
    "forgotten return": (op(np.sin, lambda g, x: None), [draw(3, 4)], "x", "wrong number or shape of gradients|zero"),
    "cut graph": (lambda x: x * 0 + mc.tensor(np.sin(x.data)), [draw(3, 4)], "x", "zero gradient"),
    "no dependence": (op(lambda x: 0 * x, lambda g, x: g), [draw(3, 4)], "x", "no gradient expected"),
    "summed, not averaged": (
        mean_of_squares(lambda g, x: 2 * x * g), [draw(4, 3)], "x",
        re.escape("summed where it should be averaged (factor N = 4, the batch size)"),
    ),
    "averaged, not summed": (
        op(lambda x: x.sum(0), lambda g, x: np.broadcast_to(g, x.shape) / len(x)), [draw(5, 3)], "x",
        re.escape("averaged where it should be summed (factor 1/N, N = 5, the batch size)"),
    ),
    "a mean over pixels forgotten": (
        op(lambda x: x.mean((2, 3)), lambda g, x: np.broadcast_to(g[..., None, None], x.shape)),
        [draw(2, 4, 3, 5)], "x",
        r"summed where it should be averaged \(factor N = 15, the pixels of one channel of x\)",
    ),
    "transposed square": (
        matmul(dw=lambda g, x, w: (x.T @ g).T), [draw(3, 4), draw(4, 4)], "w", "transposed: analytic",
    ),
    "reshape for transpose": (
        op(lambda x: x.T * 1.0, lambda g, x: g.reshape(x.shape)), [draw(3, 4)], "x", "transposed: reshaped",
    ),
    "rotated weight gradient": (
        conv(dw_of=lambda dw: dw[..., ::-1, ::-1]), [X4, draw(3, 4, 3, 3)], "w", r"flipped along spatial axes \(2, 3\)",
    ),
    "border": (
        BorderConv.apply, [mc.tensor(X4, requires_grad=True), draw(3, 4, 3, 3)], "x", "wrong only at the border",
    ),
    "last column": (  # not "overwritten", though only one use of a wrong element counts: elsewhere both do
        op(with_right_neighbour, forgets_the_last_column), [draw(2, 3, 6, 8)], "x",
        re.escape("wrong only at the border (right; up to 1 from the side)"),
    ),
    "one channel": (wrong_channels([2]), [X4], "x", r"only for some channels: axis 1, index 2 of 4;.*gradient is zero"),
    "a group": (
        wrong_channels([2, 3], 3.0), [X4], "x",
        r"only for some channels: axis 1, index 2, 3 of 4 \(a run: group 1 of 2\?\);.*analytic = 3 \* numeric",
    ),
    "a group of the weights": (
        conv(dw_of=lambda dw: dw * np.array([1, 1, 0, 0])[:, None, None, None]), [X4, draw(4, 4, 3, 3)], "w",
        r"only for some channels: axis 0, index 2, 3 of 4 \(a run",
    ),
    "a row": (
        op(lambda x: x * 1.0, lambda g, x: g * np.array([1, 1, 0, 1, 1, 1.0])[:, None]), [draw(2, 3, 6, 8)], "x",
        "only for some rows: axis 2, index 2 of 6",
    ),
    "places of a vector": (
        op(lambda x: x * 1.0, lambda g, x: g * np.array([1, 1, 3, 3, 1, 1, 1, 1.0])), [draw(8)], "x",
        "only for some elements: axis 0, index 2, 3 of 8",
    ),
    "bias of the first sample": (
        bias_op(lambda g: g[0].sum((1, 2))), [X4[:2], draw(4)], "b", r"a broadcast axis not summed: only index \(0,\)",
    ),
    "bias of the first pixel": (
        bias_op(lambda g: g.sum(0)[:, 0, 0]), [X4[:2], draw(4)], "b",
        r"a broadcast axis not summed: only index \(0, 0\)",
    ),
    "bias summed over the wrong axes": (
        bias_op(lambda g: g.sum((0, 1, 2))), [X4[..., :4], draw(4)], "b",
        "a broadcast axis not summed: summed over the wrong",
    ),
    "bias gradient not summed": (
        bias_op(lambda g: g), [X4[..., :3], draw(4)], "b", "a broadcast axis not summed: backward",
    ),
    "repeated index": (
        op(lambda x: x[[0, 1, 1, 3, 1]], overwriting_pick), [draw(4, 2)], "x", "gradient overwritten instead of added",
    ),
    "overlapping windows": (
        op(window_sums, overlapping_windows), [draw(2, 9)], "x", "gradient overwritten instead of added",
    ),
    "a loop over samples": (
        matmul(dw=loop_over_samples), [draw(3, 4), draw(4, 5)], "w",
        r"gradient overwritten instead of added: only index \(2,\) of output axes \(0,\)",
    ),
    "skip connection": (
        op(lambda x: np.sin(x) + x, lambda g, x: g * np.cos(x)), [draw(3, 4)], "x",
        "gradient overwritten instead of added: what is missing is the upstream",
    ),
    "upstream ignored": (op(np.sin, lambda g, x: np.cos(x)), [draw(3, 4)], "x", "upstream gradient not used"),
    "upstream passed on": (op(np.sin, lambda g, x: g), [draw(3, 4)], "x", "upstream gradient passed on unchanged"),
    "clipped": (
        op(np.sin, lambda g, x: np.clip(g, -1, 1) * np.cos(x)), [draw(3, 4)], "x", "not linear in the upstream",
    ),
    "infinite": (op(lambda x: x * x, lambda g, x: g / (x * 0)), [draw(3, 4)], "x", "not finite: backward"),
    "one branch": (
        op(lambda x: np.where(x > 0, x, 0.1 * x), lambda g, x: np.where(x > 0, g, 0)), [draw(20)], "x",
        "only for some values: wrong where x <",
    ),
    "wrong shape": (op(np.sin, lambda g, x: g[:1, :1]), [draw(3, 4)], "x", "wrong shape"),
    "no pattern": (
        op(np.sin, lambda g, x: g * np.cos(x) * draw(6, 7, seed=5)), [draw(6, 7)], "x",
        "no simple pattern: the correlation",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", PLANTED)
def test_planted_bug_is_diagnosed(name):
    """Each kind of mistake is found in the right argument and called by its name."""
    fn, inputs, argument, pattern = PLANTED[name]
    renamed = {1: lambda x: fn(x), 2: (lambda x, b: fn(x, b)) if argument == "b" else (lambda x, w: fn(x, w))}
    error = failure(renamed[len(inputs)], inputs)
    assert re.match(pattern, error.diagnosis), error.diagnosis
    assert error.argument in (argument, None if name == "forgotten return" else argument)


def test_rotated_kernel_on_the_way_to_the_input():
    """A kernel rotated in the input's gradient has no simple pattern in dx itself: no wrong claim may be made."""
    error = failure(lambda x, w: conv(dx_of=lambda w: w[..., ::-1, ::-1])(x, w), [X4, draw(3, 4, 3, 3)])
    assert error.argument == "x" and error.diagnosis.startswith("no simple pattern")


def test_the_error_names_the_numbers():
    """The attributes and the message agree with a gradient computed by hand, and name the worst element."""

    def backward(grad, x):
        dx = 2 * x * grad
        dx[1, 2] += 0.5
        dx[0, 0] -= 0.25
        return dx

    square = op(lambda x: x * x, backward)
    error = failure(lambda image: square(image), draw(3, 4))
    assert error.argument == "image" and error.index == (1, 2)
    assert error.analytic - error.numeric == pytest.approx(0.5, abs=1e-6)
    assert abs(error.numeric) <= 2 * 1.5 * abs(draw(3, 4)[1, 2])
    assert error.errors.shape == (3, 4)
    np.testing.assert_allclose(np.sort(error.errors.ravel())[-3:], [0, 0.25, 0.5], atol=1e-7)
    for text in ("'image'", "(1, 2)", "analytic:", "numeric:", "relative error:", "wrong: 2 of 12", "diagnosis:"):
        assert text in str(error)
    assert isinstance(error, AssertionError) and isinstance(error, mc.MinicnnError)


def test_opposite_errors_do_not_cancel():
    """Errors that cancel in a plain sum of the outputs are seen: the outputs are weighted at random."""
    swapped = op(lambda x: x * 1.0, lambda g, x: g[::-1])
    assert failure(swapped, draw(4)).diagnosis.startswith("flipped along axes (0,)")


def test_all_wrong_arguments_are_listed():
    """A student with two wrong gradients is told of both."""
    error = failure(matmul(dx=lambda g, x, w: -(g @ w.T), dw=lambda g, x, w: 2 * x.T @ g), [draw(3, 4), draw(4, 5)])
    assert error.argument == "inputs[0]" and "also wrong: inputs[1]" in str(error)
