"""Initialisers and the layers' own starting weights against torch.nn.init's, as distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

import minicnn as mc
from minicnn import nn

torch = pytest.importorskip("torch")
tn = torch.nn

SHAPES = ((96, 32, 3, 3), (300, 90))


def assert_same_distribution(ours, theirs) -> None:
    """Shape of the distribution (Kolmogorov-Smirnov) and spread, from some 27,000 numbers, within 6 sigmas."""
    a, b = np.asarray(ours).ravel(), theirs.detach().numpy().ravel()
    assert a.size == b.size and len(np.unique(a)) > 0.9 * a.size
    assert ks_2samp(a, b).pvalue > 1e-6
    assert a.std() == pytest.approx(b.std(), rel=0.03)
    assert a.mean() == pytest.approx(0, abs=float(6 * a.std() / a.size**0.5))


CALLS = {
    "kaiming_normal_": ({}, {"mode": "fan_out", "nonlinearity": "relu"}, {"a": 0.5}, {"nonlinearity": "tanh"}),
    "kaiming_uniform_": ({}, {"mode": "fan_out", "nonlinearity": "relu"}, {"a": 5**0.5}, {"nonlinearity": "linear"}),
    "xavier_normal_": ({}, {"gain": 2.0}),
    "xavier_uniform_": ({}, {"gain": 0.5}),
    "normal_": ({"mean": 0.0, "std": 0.02},),
    "uniform_": ({"a": -0.3, "b": 0.3},),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "options"), [(name, o) for name, calls in CALLS.items() for o in calls])
def test_distributions(name, options, shape):
    """Protects fan modes and gains: the numbers come from the same distribution as PyTorch's."""
    mc.manual_seed(1)
    torch.manual_seed(2)
    ours = getattr(nn.init, name)(nn.Parameter(np.empty(shape, np.float32)), **options)
    theirs = getattr(tn.init, name)(tn.Parameter(torch.empty(shape)), **options)
    assert_same_distribution(ours.data, theirs)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "xavier_uniform_"])
def test_uniform_bounds(name):
    """Protects the bounds of uniform starts, which are reached and never crossed."""
    mc.manual_seed(1)
    torch.manual_seed(2)
    ours = np.abs(getattr(nn.init, name)(nn.Parameter(np.empty(SHAPES[0], np.float32))).data).max()
    theirs = getattr(tn.init, name)(tn.Parameter(torch.empty(SHAPES[0]))).abs().max().item()
    assert ours == pytest.approx(theirs, rel=1e-3)


LAYERS = {
    "Conv2d": lambda nn: nn.Conv2d(32, 2048, 3),
    "Conv2d, groups": lambda nn: nn.Conv2d(32, 2048, (3, 5), groups=4),
    "Linear": lambda nn: nn.Linear(90, 3000),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_default_start_of_a_layer(layer):
    """Protects the default start: weights and biases uniform within 1 / sqrt(fan_in), as in PyTorch."""
    mc.manual_seed(1)
    torch.manual_seed(2)
    ours, theirs = LAYERS[layer](nn), LAYERS[layer](tn)
    for name in ("weight", "bias"):
        a, b = np.abs(getattr(ours, name).data), getattr(theirs, name).detach().abs().numpy()
        assert_same_distribution(getattr(ours, name).data, getattr(theirs, name))
        assert a.max() == pytest.approx(b.max(), rel=0.01)
        assert a.dtype == b.dtype


def test_batch_norm_starts_as_the_identity():
    """Protects weight 1, bias 0, mean 0, variance 1, and a count of 0."""
    ours, theirs = nn.BatchNorm2d(3).state_dict(), tn.BatchNorm2d(3).state_dict()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value.numpy(), strict=True)


@pytest.mark.parametrize("shape", [(4, 4, 3, 3), (6, 4, 3, 5), (3, 5, 2, 4), (2, 2, 1, 1)])
def test_dirac(shape):
    """Protects the identity as a convolution, for odd and even kernels and unequal numbers of channels."""
    ours, theirs = nn.init.dirac_(nn.Parameter(np.ones(shape, np.float32))), tn.init.dirac_(torch.ones(shape))
    np.testing.assert_array_equal(ours.data, theirs.numpy())


@pytest.mark.parametrize(
    "arguments", [("linear",), ("conv2d",), ("sigmoid",), ("tanh",), ("relu",), ("leaky_relu",), ("leaky_relu", 0.3)]
)
def test_gains(arguments):
    """Protects the table of gains."""
    assert nn.init.calculate_gain(*arguments) == pytest.approx(tn.init.calculate_gain(*arguments), rel=1e-15)


def test_constants():
    """Protects the fills, in place and returning the tensor."""
    for name, options in (("zeros_", ()), ("ones_", ()), ("constant_", (0.3,))):
        p = nn.Parameter(np.full((2, 3), 7, np.float32))
        assert getattr(nn.init, name)(p, *options) is p
        np.testing.assert_array_equal(p.data, getattr(tn.init, name)(torch.empty(2, 3), *options).numpy())
