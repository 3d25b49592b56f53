"""gradcheck: right gradients pass, every planted bug gets its diagnosis, and nothing of the user's is changed."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck_helpers import draw, failure, op, pair_failure, scaled

import minicnn as mc
from minicnn import functional as F
from minicnn import nn, random

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
