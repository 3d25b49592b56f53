"""detect_anomaly names the first layer and operation that made a NaN or an infinity."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import cli, nn
from minicnn import functional as F


class LogOfNegative(nn.Module):
    def forward(self, x):
        return (x - 10.0).log()


def network(middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 4), middle), nn.Linear(4, 2))


def test_forward_names_layer_operation_and_numbers():
    """Log of a negative number inside a nested layer: its path, not that of the linear layer that spreads the NaN."""
    model = network(LogOfNegative())
    with (
        mc.detect_anomaly(),
        pytest.raises(mc.AnomalyError, match="Log made nan at index .* inputs were finite") as e,
    ):
        model(np.ones((2, 1, 2, 2), np.float32))
    assert e.value.path == "1.1"
    assert np.isnan(model(np.ones((2, 1, 2, 2), np.float32)).data).all()  # outside the block NaN passes


def test_backward_names_layer_and_operation():
    """sqrt at 0 is finite, its gradient is not: found in the backward, with the layer that called it."""

    class Root(nn.Module):
        def forward(self, x):
            return (x * 0.0).sqrt()

    model = network(Root())
    with (
        mc.detect_anomaly(),
        pytest.raises(mc.AnomalyError, match="backward of Sqrt made .*inf.* for its input 0") as e,
    ):
        model(np.ones((2, 1, 2, 2), np.float32)).sum().backward()
    assert e.value.path == "1.1" and "Root" in e.value.layer


def test_nan_in_the_data_is_not_blamed_on_a_layer():
    """What comes in broken goes out broken; the first operation did not make it."""
    with mc.detect_anomaly():
        assert np.isnan(F.relu(np.array([np.nan])).data[0])


def test_finite_training_is_undisturbed_and_the_block_ends():
    model = network(nn.ReLU())
    with mc.detect_anomaly():
        model(np.ones((2, 1, 2, 2), np.float32)).sum().backward()
    assert not mc.anomaly.enabled() and model[2].weight.grad is not None


def test_blocks_nest_also_inside_a_layer():
    """A layer that opens a block of its own within the caller's: both end well, and the outer one goes on."""

    class Careful(nn.Module):
        def forward(self, x):
            with mc.detect_anomaly():
                return x * 2.0

    model = network(nn.Sequential(Careful(), LogOfNegative()))
    with mc.detect_anomaly():
        with pytest.raises(mc.AnomalyError) as e:
            model(np.ones((2, 1, 2, 2), np.float32))
        assert e.value.path == "1.1.1" and mc.anomaly.enabled()
    assert not mc.anomaly.enabled()


def test_training_command_names_the_layer(tmp_path, capsys):
    """`minicnn train --detect-anomaly` with an exploding rate: one line with the layer, exit status 2."""
    with pytest.raises(SystemExit) as stop:
        cli.main([*"train --model resnet20 --epochs 1 --lr 1e30 --detect-anomaly --out".split(), str(tmp_path / "r")])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().split("\n")[-1]
    assert last.startswith("minicnn: ") and " made " in last and any(name in last for name in ("layer", "conv1", "fc"))
