"""Modules: registration, paths, modes, state, hooks, initialisation."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import nn, optim


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(self.body(x), 1).flatten(1))


def test_parameters_and_buffers_have_pytorchs_paths():
    """Weights load by key, so names and their order are part of the interface."""
    model = Tiny()
    assert [n for n, _ in model.named_parameters()] == [
        "body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias", "head.weight",
    ]  # fmt: skip
    assert [n for n, _ in model.named_buffers()] == [
        "body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked",
    ]  # fmt: skip
    assert list(model.state_dict())[2:7] == [
        "body.1.weight", "body.1.bias", "body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked",
    ]  # fmt: skip
    assert model.num_parameters() == 4 * 27 + 4 + 8 + 8


def test_four_dimensional_parameters_lie_channels_last():
    """A weight (O, C, KH, KW) goes to kernels as (O, KH, KW, C) without a copy, also after loading and converting."""
    model = Tiny()
    model.load_state_dict({k: np.ones_like(v) for k, v in model.state_dict().items()})
    for m in (model, model.to("float64")):
        assert m.body[0].weight.data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_a_shared_module_learns_once_and_is_saved_under_each_path():
    """As in PyTorch: an optimiser must not step twice, and a PyTorch file of such a model has both keys."""
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(model.parameters())) == 2
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert model.load_state_dict(model.state_dict()) == ([], [])


def test_modes_reach_every_module():
    model = Tiny()
    assert all(not m.training for m in model.eval().modules())
    assert all(m.training for m in model.train().modules())


def test_evaluation_is_deterministic_and_training_is_not():
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)).astype(np.float32)
    model = Tiny().train()
    assert not np.array_equal(model(x).data, model(x).data)  # dropout draws anew
    model.eval()
    np.testing.assert_array_equal(model(x).data, model(x).data)


def test_state_dict_round_trip_between_models():
    a, b = Tiny(), Tiny()
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)).astype(np.float32)
    a(x)  # moves the running statistics
    assert b.load_state_dict({k: v.copy() for k, v in a.state_dict().items()}) == ([], [])
    np.testing.assert_array_equal(a.eval()(x).data, b.eval()(x).data)
    missing, unexpected = b.load_state_dict({"head.weight": np.zeros((2, 4)), "other": np.zeros(1)}, strict=False)
    assert "body.0.weight" in missing and unexpected == ["other"]


def test_attributes_can_be_replaced_and_deleted():
    """Swapping a head, the everyday surgery of fine-tuning."""
    model = Tiny()
    model.head = nn.Linear(4, 7)
    assert "head.bias" in model.state_dict() and model(np.zeros((2, 3, 5, 5), np.float32)).shape == (2, 7)
    model.head = nn.Identity()
    assert "head.weight" not in model.state_dict()
    del model.head
    with pytest.raises(AttributeError, match="Tiny has no attribute 'head'"):
        _ = model.head


def test_what_replaces_a_layer_takes_its_place():
    """Also by attribute: in a row it would run last otherwise, and parameters would be listed in another order."""
    model = nn.Sequential({"conv": nn.Conv2d(3, 4, 1), "flatten": nn.Flatten(), "fc": nn.Linear(4, 2)})
    model.conv = nn.Conv2d(3, 4, 1, bias=False)
    model.flatten = nn.Flatten()
    assert [name for name, _ in model.named_children()] == ["conv", "flatten", "fc"]
    assert model(np.ones((1, 3, 1, 1), np.float32)).shape == (1, 2)
    model.fc.weight = nn.Parameter(np.ones((2, 4), np.float32))
    assert [name for name, _ in model.named_parameters()] == ["conv.weight", "fc.weight", "fc.bias"]


def test_forward_hooks_see_replace_and_go():
    layer, seen = nn.ReLU(), []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append((module, output.shape)))
    x = mc.tensor([-1.0, 2.0])
    layer(x)
    with layer.register_forward_hook(lambda module, inputs, output: output * 10):
        assert layer(x).tolist() == [0, 20]
    handle.remove()
    assert layer(x).tolist() == [0, 2] and seen == [(layer, (2,))] * 2


def test_frozen_parameters_get_no_gradient():
    model = Tiny()
    model.body.requires_grad_(False)
    model(np.ones((2, 3, 5, 5), np.float32)).sum().backward()
    assert model.body[0].weight.grad is None and model.head.weight.grad is not None


def test_zero_grad_and_conversion_of_gradients():
    model = Tiny()
    model(np.ones((2, 3, 5, 5), np.float32)).sum().backward()
    assert model.to("float64").head.weight.grad.dtype == np.float64
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_containers_index_slice_and_append():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    model.append(nn.Flatten())
    assert len(model) == 3 and isinstance(model[-1], nn.Flatten) and len(model[:2]) == 2
    named = nn.Sequential({"conv": nn.Conv2d(3, 4, 1), "act": nn.ReLU()})
    assert isinstance(named.conv, nn.Conv2d) and "conv.weight" in named.state_dict()
    layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    assert len(list(layers.parameters())) == 6 and len(layers[1:]) == 2


def test_printing_shows_the_nested_structure():
    text = repr(Tiny())
    assert "(body): Sequential(" in text and "(0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=1)" in text
    assert "(head): Linear(4, 2, bias=False)" in text


def test_batch_norm_with_cumulative_average():
    """momentum=None: after two batches the running mean is their mean."""
    layer = nn.BatchNorm2d(1, momentum=None)
    for value in (1.0, 3.0):
        layer(np.full((2, 1, 2, 2), value, np.float32))
    assert layer.running_mean.data[0] == 2.0 and int(layer.num_batches_tracked) == 2


def test_batch_norm_without_running_statistics_uses_the_batch_in_evaluation():
    layer = nn.BatchNorm2d(2, affine=False, track_running_stats=False).eval()
    y = layer(np.random.default_rng(0).standard_normal((8, 2, 3, 3)).astype(np.float32)).data
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)
    assert layer.state_dict() == {}


def test_every_layer_runs_and_prints():
    """Options reach the operation: shapes tell."""
    x = np.random.default_rng(0).uniform(0.1, 1, (2, 4, 9, 9)).astype(np.float32)
    for layer, shape in [
        (nn.Conv2d(4, 8, (3, 1), 2, (1, 0), groups=4, algorithm="im2col"), (2, 8, 5, 5)),
        (nn.Conv2d(4, 6, 3, dilation=2, padding="same"), (2, 6, 9, 9)),
        (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 4, 5, 5)),
        (nn.AvgPool2d(2), (2, 4, 4, 4)),
        (nn.AdaptiveAvgPool2d((2, None)), (2, 4, 2, 9)),
        (nn.LocalResponseNorm(5, k=2.0, average=False), x.shape),
        (nn.LeakyReLU(0.2), x.shape), (nn.ReLU6(), x.shape), (nn.Sigmoid(), x.shape), (nn.Tanh(), x.shape),
        (nn.Softmax(1), x.shape), (nn.Flatten(), (2, 324)), (nn.Identity(), x.shape), (nn.Dropout(0.3), x.shape),
    ]:  # fmt: skip
        assert tuple(layer(mc.Tensor(x)).shape) == shape
        assert repr(layer).startswith(type(layer).__name__)
    assert nn.CrossEntropyLoss(0.1)(mc.tensor([[1.0, 2.0]]), [1]).shape == ()
    assert nn.MSELoss()(mc.tensor([1.0]), mc.tensor([3.0])).item() == 4.0


def test_initialisers_have_the_papers_variances():
    """He: 2/fan_in; Glorot: 2/(fan_in + fan_out); bounds of the uniform ones are sqrt(3) standard deviations."""
    w = nn.Parameter(np.empty((64, 32, 3, 3), np.float32))
    fan_in, fan_out = 32 * 9, 64 * 9
    for fill, variance in [
        (lambda t: nn.init.kaiming_normal_(t, nonlinearity="relu"), 2 / fan_in),
        (lambda t: nn.init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"), 2 / fan_out),
        (nn.init.xavier_normal_, 2 / (fan_in + fan_out)),
        (nn.init.xavier_uniform_, 2 / (fan_in + fan_out)),
        (lambda t: nn.init.normal_(t, 0, 0.01), 1e-4),
    ]:
        assert fill(w).data.var() == pytest.approx(variance, rel=0.05)
    assert np.abs(nn.init.xavier_uniform_(w).data).max() <= np.sqrt(6 / (fan_in + fan_out))
    assert nn.init.zeros_(w).data.max() == 0 and nn.init.ones_(w).data.min() == 1


def test_dirac_is_the_identity():
    w = nn.init.dirac_(nn.Parameter(np.empty((4, 4, 3, 3), np.float32)))
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(F.conv2d(x, w, padding=1).data, x)


def test_manual_seed_repeats_initial_weights():
    mc.manual_seed(5)
    a = nn.Linear(3, 3).weight.data.copy()
    mc.manual_seed(5)
    np.testing.assert_array_equal(nn.Linear(3, 3).weight.data, a)


def test_scalar_parameters_keep_their_shape_and_buffers_their_kind():
    """A 0-d parameter stays 0-d (ascontiguousarray adds an axis); an array assigned to a buffer becomes a tensor."""
    assert nn.Parameter(np.array(1.0)).shape == ()
    layer = nn.BatchNorm2d(2)
    layer.running_mean = np.ones(2, np.float32)
    assert isinstance(layer.running_mean, mc.Tensor) and isinstance(layer.state_dict()["running_mean"], np.ndarray)


def test_evaluating_gives_every_module_its_own_mode_back():
    """Fine-tuning keeps some batch-norms in evaluation mode; looking at the validation set must not wake them."""
    model = Tiny().train()
    model.body[1].eval()
    with nn.modes.evaluating(model):
        assert not any(m.training for m in model.modules())
    assert model.training and not model.body[1].training


def test_surgery_on_containers():
    """seq[2] = nn.Linear(...) swaps a head; apply visits every module; Tab completion sees what is registered."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 3))
    model[2] = nn.Linear(4, 7)
    assert model(np.zeros((2, 4), np.float32)).shape == (2, 7)
    seen = []
    model.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Linear", "Flatten", "Sequential"]
    assert {"0", "weight"} <= {*dir(model), *dir(model[1])}
    assert model.load_state_dict(model.state_dict()).missing_keys == []


def test_parameters_and_buffers_of_python_numbers_are_float32():
    layer = nn.Module()
    layer.scale = nn.Parameter([1.0, 2.0])
    layer.register_buffer("shift", [1.0])
    assert layer.scale.dtype == layer.shift.dtype == np.float32


def test_an_optimiser_follows_a_converted_model():
    """model.to("float64") after a step: the running averages are converted too."""
    layer = nn.Linear(2, 1)
    for make in (lambda p: optim.SGD(p, 0.1, momentum=0.9), optim.Adam):
        optimizer = make(layer.parameters())
        for dtype in ("float32", "float64", "float32"):
            layer.to(dtype)
            layer(np.ones((3, 2), dtype)).sum().backward()
            optimizer.step()
            assert layer.weight.dtype == dtype


def test_an_error_is_named_even_where_printing_the_layer_fails():
    class Odd(nn.Module):
        def extra_repr(self):
            raise AttributeError("no such thing")

        def forward(self, x):
            return F.linear(x, np.ones((2, 3), np.float32))

    with pytest.raises(mc.ShapeError, match="takes 3") as caught:
        nn.Sequential(Odd())(np.ones((1, 5), np.float32))
    assert caught.value.path == "0" and caught.value.layer == "Odd"


def test_weights_drawn_in_parts_are_those_of_one_draw(monkeypatch):
    """Large layers are filled some rows at a time, which must not change a single number."""
    mc.manual_seed(0)
    whole = nn.init.normal_(nn.Parameter(np.empty((7, 3, 2, 2), np.float32))).data.copy()
    monkeypatch.setattr(nn.init, "AT_ONCE", 24)  # two rows
    mc.manual_seed(0)
    parts = nn.init.normal_(nn.Parameter(np.empty((7, 3, 2, 2), np.float32))).data
    np.testing.assert_array_equal(parts, whole)


def test_ready_puts_back_dropouts_count_after_an_error():
    """Looking at a model that fails half way must not change what the next training draws."""
    before = mc.random.state.get()
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3)).eval()
    with pytest.raises(KeyError), nn.modes.ready(model, training=True):
        assert model[0].training and not model[1].training
        model[0](np.ones((1, 3, 2, 2), np.float32))
        raise KeyError
    assert mc.random.state.get() == before and not model[0].training
