"""gradcheck: right gradients pass, every planted bug gets its diagnosis, and nothing of the user's is changed."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import nn, random


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def op(forward, backward):
    """A function of tensors from a forward(*arrays) and a backward(grad, *arrays)."""

    class Planted(mc.Function):
        @staticmethod
        def forward(ctx, *arrays):
            ctx.save_for_backward(*arrays)
            return forward(*arrays)

        @staticmethod
        def backward(ctx, grad):
            return backward(grad, *ctx.saved)

    return Planted.apply


def failure(fn, inputs, **options) -> mc.GradcheckError:
    with pytest.raises(mc.GradcheckError) as caught:
        mc.gradcheck(fn, inputs, **options)
    error = caught.value
    assert error.diagnosis in str(error)
    return error


def pair_failure(forward, backward, arrays) -> mc.GradcheckError:
    with pytest.raises(mc.GradcheckError) as caught:
        mc.gradcheck_pair(forward, backward, arrays)
    return caught.value


# Right gradients -----------------------------------------------------------------------------------------------------
CORRECT = {
    "arithmetic": (lambda a, b: (a * b - a / (b * b + 1)).exp(), [draw(3, 4), draw(4, seed=1)]),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, groups=2),
        [draw(2, 4, 5, 5), draw(6, 2, 3, 3), draw(6)],
    ),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), [draw(2, 3, 7, 7)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [draw(2, 3, 7, 7)]),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 2), [draw(2, 3, 5, 5)]),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        [draw(4, 3, 3, 3) * 10 + 100, draw(3), draw(3)],
    ),
    "local_response_norm": (lambda x: F.local_response_norm(x, 5, alpha=0.1), [draw(2, 7, 3, 3)]),
    "linear": (F.linear, [draw(3, 4), draw(5, 4), draw(5)]),
    "cross_entropy": (lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1), [10 * draw(4, 5), np.arange(4)]),
    "mse_loss": (F.mse_loss, [draw(4, 5), draw(4, 5, seed=1)]),
    "softmax": (F.softmax, [draw(4, 5)]),
    "tanh of sigmoid": (lambda x: F.tanh(F.sigmoid(x)), [draw(4, 5)]),
    "leaky_relu": (F.leaky_relu, [draw(4, 5)]),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), [draw(2, 4, 3, 3)]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), [draw(2, 2, 3, 3)]),
    "repeated index": (lambda x: x[np.array([0, 1, 1, 3])], [draw(4, 2)]),
    "one number": (lambda x: x * x, [np.array(3.0)]),
}


@pytest.mark.parametrize("name", CORRECT)
def test_correct_functions_pass(name):
    """No false alarms on minicnn's own operations, in whichever room is in use."""
    fn, inputs = CORRECT[name]
    assert mc.gradcheck(fn, inputs) is True


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e5])
def test_no_false_alarm_at_other_scales(scale):
    """The tolerance knows the rounding error of the difference, which grows with the outputs and inputs."""
    assert mc.gradcheck(lambda x: x - x.mean(), scale * draw(5, 3))
    assert mc.gradcheck(F.mse_loss, [scale * draw(3, 4), scale * draw(3, 4, seed=1)])


# A bug of each kind --------------------------------------------------------------------------------------------------
def scaled(factor):
    return op(np.sin, lambda grad, x: factor * grad * np.cos(x))


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
    "one channel": (wrong_channels([2]), [X4], "x", r"only for some channels: axis 1, index 2 of 4;.*gradient is zero"),
    "a group": (
        wrong_channels([2, 3], 3.0), [X4], "x",
        r"only for some channels: axis 1, index 2, 3 of 4 \(a run: group 1 of 2\?\);.*analytic = 3 \* numeric",
    ),
    "a group of the weights": (
        conv(dw_of=lambda dw: dw * np.array([1, 1, 0, 0])[:, None, None, None]), [X4, draw(4, 4, 3, 3)], "w",
        r"only for some channels: axis 0, index 2, 3 of 4 \(a run",
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


# Kinks ---------------------------------------------------------------------------------------------------------------
def test_valid_subgradients_at_kinks_are_accepted():
    """At a kink any slope between the two sides is right: ReLU and abs at 0, ties in overlapping max-pool windows."""
    for fn in (F.relu, lambda x: x.abs(), F.relu6):
        assert mc.gradcheck(fn, np.array([-1.0, 0.0, 0.0, 2.0]))
    assert mc.gradcheck(lambda x: F.max_pool2d(x, 3, 1, 1), np.ones((1, 2, 5, 5)))
    assert mc.gradcheck(lambda x: F.max_pool2d(x, 2), np.round(draw(2, 2, 6, 6)))


def test_kink_inside_the_step_is_no_alarm():
    """A kink less than a step away spoils the difference, not the gradient."""
    assert mc.gradcheck(F.relu, np.array([3e-7, -4e-7, 1.0]))


def test_wrong_only_at_kinks():
    """A value outside of both slopes at a kink, and right elsewhere, is named so, and the advice is to move."""
    relu = op(lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, 3.0, x > 0))
    error = failure(lambda x: relu(x), np.array([-1.0, 0.0, 2.0]))
    assert error.index == (1,) and error.diagnosis.startswith("only at kinks or ties")
    assert "choose other values" in error.diagnosis


def test_ties_shared_wrongly():
    """Max pooling that gives all tied pixels twice the gradient is caught, though all lie at kinks or on the flat."""

    def backward(g, x):
        return (x == x.max()) * g * 2.0

    error = failure(op(lambda x: np.asarray(x.max()), backward), np.array([1.0, 3.0, 3.0]))
    assert error.diagnosis.startswith("only at kinks or ties")


def test_kinks_do_not_hide_a_bug_elsewhere():
    """Elements at kinks are left out of the verdict, and the message says how many."""
    relu = op(lambda x: np.maximum(x, 0), lambda g, x: -g * np.where(x == 0, 3.0, x > 0))
    error = failure(relu, np.array([-1.0, 0.0, 2.0, 3.0]))
    assert error.diagnosis.startswith("sign flipped")
    assert "not counted: 1 more at kinks" in str(error)


# Large inputs --------------------------------------------------------------------------------------------------------
def test_large_input_passes():
    """Random directions and a sample agree for a right gradient of 4,096 elements."""
    assert mc.gradcheck(lambda x: F.relu(x) * x, draw(2, 4, 16, 32))


def test_large_input_one_wrong_element():
    """One wrong element of 10,000 is noticed along random directions and found by halving them."""

    def backward(g, x):
        dx = g * np.cos(x)
        dx[17, 83] *= 1.5
        return dx

    error = failure(op(np.sin, backward), draw(100, 100))
    assert error.index == (17, 83)
    assert "checked elements (10000 in all)" in str(error)
    assert np.isnan(error.errors).any() and error.errors[17, 83] > 0


@pytest.mark.parametrize(
    "backward, pattern",
    [
        (lambda g, x: -g * np.cos(x), "sign flipped"),
        (lambda g, x: (g * np.cos(x)).transpose(0, 1, 3, 2), "transposed"),
        (lambda g, x: g * np.cos(x) * (np.arange(8) // 4)[:, None, None], "only for some channels"),
        (
            lambda g, x: np.pad((g * np.cos(x))[..., 1:-1, 1:-1], ((0, 0), (0, 0), (1, 1), (1, 1))),
            "wrong only at the border",
        ),
    ],
)
def test_large_input_keeps_its_patterns(backward, pattern):
    """The part of a large input that is looked at shows the same patterns as the whole."""
    assert failure(op(np.sin, backward), draw(2, 8, 16, 16), max_elements=300).diagnosis.startswith(pattern)


# What cannot be checked ----------------------------------------------------------------------------------------------
def test_not_deterministic():
    """A function that draws its own random numbers gets a clear word, not a meaningless mismatch."""
    rng = np.random.default_rng(0)
    error = failure(lambda x: x * rng.uniform(), draw(3))
    assert error.diagnosis.startswith("not deterministic")


def test_dropout_is_deterministic_here_and_costs_no_bits():
    """Dropout draws the same bits in every evaluation, and the user's stream goes on as if nothing had happened."""
    mc.manual_seed(3)
    before = random.state.get()
    assert mc.gradcheck(lambda x: F.dropout(x, 0.5), draw(4, 5))
    assert random.state.get() == before


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_not_finite():
    """NaN and infinity in the input, the output, or a step away are named with their place."""
    assert "the input 'x'" in failure(lambda x: x * 2, np.array([1.0, np.nan])).diagnosis
    assert "the output" in failure(lambda x: x.log(), np.array([1.0, 0.0])).diagnosis
    error = failure(lambda x: x.sqrt(), np.array([1.0, 0.0]))
    assert error.diagnosis.startswith("not finite: the output becomes") and "x[1]" in error.diagnosis


def test_input_modified_in_place():
    """A forward that writes into its input falsifies everything after it; it is named instead."""

    def forward(x):
        x *= 2
        return x + 0

    error = failure(op(forward, lambda g, x: 2 * g), draw(3))
    assert error.diagnosis.startswith("modified in place: forward")


def test_senseless_calls():
    """Nothing to differentiate, or a result that is no tensor: an ArgumentError that says so."""
    with pytest.raises(mc.ArgumentError, match="no floating input"):
        mc.gradcheck(lambda x: x, np.arange(3))
    with pytest.raises(mc.ArgumentError, match="must return one floating Tensor, got tuple"):
        mc.gradcheck(lambda x: (x, x), draw(3))


# Inputs and modules --------------------------------------------------------------------------------------------------
def test_only_what_wants_a_gradient_is_checked():
    """Integer inputs are passed on; with requires_grad somewhere, other inputs are constants without a gradient."""
    half = op(lambda a, b: a * b, lambda g, a, b: (g * b, None))
    a, b = mc.tensor(draw(3), requires_grad=True), mc.tensor(draw(3))
    assert mc.gradcheck(half, [a, b])
    assert failure(half, [a.data, b.data]).argument == "inputs[1]"
    assert mc.gradcheck(lambda x, index: x[index], [draw(4), np.array([1, 1, 2])])


def test_users_tensors_are_untouched():
    """Data, dtype and .grad stay: a check within a training loop changes nothing. float32 is checked in float64."""
    x = mc.tensor(draw(3, 4).astype(np.float32), requires_grad=True)
    x.grad = np.full((3, 4), 7, np.float32)
    data, grad, copy = x.data, x.grad, x.data.copy()
    assert mc.gradcheck(lambda x: x.exp(), x)
    failure(scaled(2), x)
    assert x.data is data and x.grad is grad and x.dtype == np.float32
    assert np.array_equal(data, copy) and (grad == 7).all()


def test_module_is_checked_with_its_parameters_and_restored():
    """Parameters are checked in float64; arrays, gradients and running statistics are the same ones afterwards."""
    mc.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    next(model.parameters()).grad = np.ones((3, 2, 3, 3), np.float32)
    tensors = [*model.parameters(), *model.buffers()]
    before = [(t.data, t.data.copy(), t.grad) for t in tensors]
    assert mc.gradcheck(model, draw(2, 2, 4, 4).astype(np.float32))
    for t, (data, copy, grad) in zip(tensors, before, strict=True):
        assert t.data is data and t.grad is grad
        np.testing.assert_array_equal(data, copy)


def test_wrong_gradient_of_a_parameter_has_its_path():
    """In a model the argument is the parameter's path, and the model is restored after an error too."""

    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(draw(3).astype(np.float32))
            self.frozen = nn.Parameter(draw(3).astype(np.float32), requires_grad=False)

        def forward(self, x):
            return op(lambda a, b: a * b, lambda g, a, b: (g * b, -g * a))(x, self.weight) * self.frozen

    model = nn.Sequential(nn.Linear(3, 3), Wrong())
    error = failure(model, draw(2, 3))
    assert error.argument == "1.weight" and error.diagnosis.startswith("sign flipped")
    assert all(p.dtype == np.float32 for p in model.parameters())


# CS231n's pairs ------------------------------------------------------------------------------------------------------
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(0)


AFFINE = [draw(3, 2, 2), draw(4, 5), draw(5)]


def test_pair_passes_with_options_and_labels():
    """A right pair passes; a dict of options that forward writes into, and integer arrays, are passed on as copies."""

    def forward(x, labels, param):
        param["calls"] = param.get("calls", 0) + 1
        return x[np.arange(len(x)), labels] * param["scale"], (x.shape, labels, param)

    def backward(dout, cache):
        shape, labels, param = cache
        dx = np.zeros(shape)
        dx[np.arange(shape[0]), labels] = dout * param["scale"]
        return dx

    param = {"scale": 3.0}
    assert mc.gradcheck_pair(affine_forward, affine_backward, AFFINE)
    assert mc.gradcheck_pair(forward, backward, [draw(4, 3), np.array([0, 2, 1, 1]), param])
    assert param == {"scale": 3.0}


def pair_bug(change):
    return lambda dout, cache: change(*affine_backward(dout, cache), dout, cache)


@pytest.mark.parametrize(
    "change, argument, pattern",
    [
        (lambda dx, dw, db, dout, cache: (dx, dw, dout[0]), "b", "a broadcast axis not summed: only index"),
        (lambda dx, dw, db, dout, cache: (dx, dw, dout), "b", "a broadcast axis not summed: backward returned shape"),
        (lambda dx, dw, db, dout, cache: (dx, dw.T, db), "w", "transposed: backward returned shape"),
        (lambda dx, dw, db, dout, cache: (dx, dw / 3, db), "w", "averaged where it should be summed"),
        (lambda dx, dw, db, dout, cache: (dx, None, db), "w", "zero gradient"),
        (lambda dx, dw, db, dout, cache: (dx, dw), None, "wrong number of gradients"),
        (lambda dx, dw, db, dout, cache: (dx, dw, db + np.multiply(dout, 0, out=dout)[0]), "the upstream gradient",
         "modified in place: backward"),
        (lambda dx, dw, db, dout, cache: (dx, dw, db + np.multiply(cache[1], 2, out=cache[1])[0] * 0), None,
         "modified in place: backward"),
    ],
)  # fmt: skip
def test_pair_bugs(change, argument, pattern):
    """The pair gets the same diagnoses; a wrong shape, a lost gradient and writing into dout or the cache are named."""
    error = pair_failure(affine_forward, pair_bug(change), AFFINE)
    assert error.diagnosis.startswith(pattern), error.diagnosis
    assert argument is None or error.argument == argument


def test_pair_forward_modifies_its_input():
    """A forward that writes into its input is named."""

    def forward(x):
        x[x < 0] = 0
        return x * 1, x

    error = pair_failure(forward, lambda dout, x: dout * (x > 0), [draw(5)])
    assert error.diagnosis.startswith("modified in place: forward") and error.argument == "x"


# The measure and the picture -----------------------------------------------------------------------------------------
def test_rel_error():
    """CS231n's formula, on tensors too; equal is 0, and a broadcast is refused as it would hide a bug."""
    assert mc.rel_error(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0
    assert mc.rel_error(np.array([1.0, 3.0]), mc.tensor([1.0, 1.0])) == pytest.approx(0.5)
    assert mc.rel_error(np.zeros(2), np.array([0, 1e-9])) == pytest.approx(0.1)
    with pytest.raises(mc.ShapeError):
        mc.rel_error(np.zeros((2, 1)), np.zeros(2))


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (2, 3, 5, 4), (1, 2, 2, 3, 3)])
def test_plot(shape, tmp_path):
    """Three panels with three colour bars, for any number of axes; written as a PNG file when a path is given."""
    error = failure(scaled(2), draw(*shape) if shape else np.array(0.3))
    figure = error.plot(tmp_path / "map.png")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["analytic (backward)", "numeric (central difference)", "difference"]
    assert len(figure.axes) == 6
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    if shape == (2, 3, 5, 4):  # 2 rows of 3 maps, one line between
        picture = figure.axes[0].images[0].get_array()
        assert picture.shape == (2 * 6 - 1, 3 * 5 - 1)
        np.testing.assert_allclose(picture[6:11, 10:14], error.analytic_gradient[1, 2])
        line = figure.axes[0].lines[0]
        n, c, h, w = error.index
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (5 * c + w, 6 * n + h)


def test_plot_without_gradients():
    """An error without gradients (not deterministic) says why there is nothing to draw."""
    rng = np.random.default_rng(0)
    with pytest.raises(mc.ArgumentError, match="not deterministic"):
        failure(lambda x: x * rng.uniform(), draw(3)).plot()
