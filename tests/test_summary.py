"""The lecture's table: what is counted, what is marked unknown, how it is written, and that it costs nothing."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import kernels, models, nn, optim, random, running
from minicnn.rows import Row
from minicnn.training_memory import training_memory


class Double(mc.Function):
    """Twice its input: an operation of a student's own."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


class Branches(nn.Module):
    """Two branches of different windows, joined in both ways, a functional pool, and a head."""

    def __init__(self, function=None):
        super().__init__()
        self.near = nn.Conv2d(3, 4, 3, padding=1)
        self.far = nn.Sequential(nn.Conv2d(3, 4, 5, stride=1, padding=2, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(8 * 16, 5)
        self.function = function

    def forward(self, x):
        near, far = self.near(x), self.far(x)
        y = mc.cat([near + far, far], axis=1)  # (N, 8, 8, 8)
        y = y if self.function is None else self.function.apply(y)
        y = F.max_pool2d(F.relu(y), 2)  # (N, 8, 4, 4)
        return self.fc(y.flatten(1))


def rows(model, size, **options) -> dict[str, Row]:
    return {r.name: r for r in mc.summary(model, size, show=False, **options).rows}


def test_branches_and_functional_calls_are_watched():
    """Every operation that the lecture's table would list, by hand: kinds, shapes, costs, fields."""
    found = rows(Branches(), (3, 8, 8))
    assert [(name, r.kind) for name, r in found.items()] == [
        ("near", "conv"), ("far.0", "conv"), ("add", "add"), ("concat", "concat"), ("maxpool", "maxpool"),
        ("flatten", "flatten"), ("fc", "fc"),
    ]  # fmt: skip
    assert (found["near"].params, found["near"].macs) == (4 * 27 + 4, 64 * 4 * 27)
    assert (found["far.0"].params, found["far.0"].macs, found["far.0"].normalised) == (4 * 75 + 8, 64 * 4 * 75, True)
    assert [found[n].rf for n in ("near", "far.0", "add", "concat", "maxpool", "fc")] == [3, 5, 5, 5, 6, 6]
    assert (found["maxpool"].pool_ops, found["maxpool"].jump, found["maxpool"].macs) == (8 * 16 * 4, 2, 0)
    assert found["concat"].output_shape == (8, 8, 8) and found["concat"].memory == 4 * 512
    assert (found["near"].kernel, found["near"].stride, found["near"].padding, found["near"].filters) == (3, 1, 1, 4)


def test_pools_can_be_counted():
    without = mc.summary(Branches(), (3, 8, 8), show=False)
    counted = mc.summary(Branches(), (3, 8, 8), show=False, pools=True)
    assert counted.total_memory - without.total_memory == 4 * 8 * 16
    assert counted.total_macs - without.total_macs == 8 * 16 * 4
    assert without.total_memory == 4 * (2 * 4 * 64 + 5)


def test_an_operation_of_unknown_cost_is_marked():
    """It gets a row, a question mark and a line below the table; what comes behind has no known field."""
    table = mc.summary(Branches(Double), (3, 8, 8), show=False)
    found = {r.name: r for r in table.rows}
    assert found["Double"].macs is None and found["fc"].rf is None and table.unknown == ("Double",)
    assert table.total_macs == mc.summary(Branches(), (3, 8, 8), show=False).total_macs
    assert "? = cost unknown, not in the total: Double." in str(table)


def test_an_operation_may_say_what_it_costs():
    class Costly(Double):
        @staticmethod
        def macs(out_shape, x_shape):
            return 7 * x_shape[1]

    table = mc.summary(Branches(Costly), (3, 8, 8), show=False)
    assert {r.name: r.macs for r in table.rows}["Costly"] == 7 * 8 and table.unknown == ()


def test_a_replaced_operation_costs_what_it_stands_for():
    """A student's own max pooling under ``mc.replace`` is a pool."""

    class Mine(mc.Function):
        @staticmethod
        def forward(ctx, x, kernel_size, stride):
            return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).max((3, 5))

    with mc.replace("max_pool2d", Mine):
        assert rows(Branches(), (3, 8, 8))["maxpool"].pool_ops == 8 * 16 * 4


def test_slices_spread_the_field():
    """x[:, :, ::2] has neighbours two pixels apart: a 3x1 window behind it spans 5 rows."""

    class Sliced(nn.Module):
        def forward(self, x):
            return F.avg_pool2d(x[:, :, ::2, :], (3, 1), 1)

    row = rows(Sliced(), (1, 9, 4))["Sliced"]
    assert (row.rf, row.jump, row.kernel) == ((5, 1), (2, 1), (3, 1))


def test_the_field_is_what_a_gradient_reaches():
    """One output pixel's gradient touches as many input pixels as the table says (E1 of the lecture's claims)."""
    convs = [nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3, dilation=2)]
    model = nn.Sequential(*convs, nn.AvgPool2d(2, 1))
    for conv in convs:
        nn.init.ones_(conv.weight)
    x = mc.tensor(np.ones((1, 1, 31, 31), np.float32), requires_grad=True)
    y = model(x)
    seed = np.zeros(y.shape, np.float32)
    seed[0, 0, 4, 4] = 1
    y.backward(seed)
    reached = np.flatnonzero(x.grad[0, 0].any(1))
    field = mc.summary(model, (1, 31, 31), show=False).rows[-1].rf
    assert len(reached) == reached[-1] - reached[0] + 1 == field == 15


def test_forms_agree():
    """Text, CSV, JSON and Markdown hold the same figures; an unknown form is an error that lists them."""
    table = mc.summary(Branches(), (3, 8, 8), show=False, title="mine")
    lines = list(csv.DictReader(io.StringIO(table.to("csv"))))
    assert sum(int(line["macs"]) for line in lines) == table.total_macs
    assert [line["output_shape"] for line in lines][:2] == ["4x8x8", "4x8x8"]
    data = json.loads(table.to("json"))
    assert data["total"] == {
        "params": table.total_params, "macs": table.total_macs, "memory_bytes": table.total_memory,
        "unused_params": 0, "unknown": [], "pools_counted": False,
    }  # fmt: skip
    assert [r["name"] for r in data["rows"]] == [r.name for r in table.rows]
    markdown = table.to("markdown").split("\n")
    assert markdown[0] == "**mine**" and all(line.count("|") == 15 for line in markdown[2 : 2 + 3 + len(table.rows)])
    assert table.to("text") == str(table) and str(table).startswith("mine\n")
    with pytest.raises(mc.ArgumentError, match="'html'; there are text, csv, json, markdown"):
        table.to("html")


def test_training_rows_leave_no_trace():
    """Layers that run in training only have rows; statistics, modes, dropout's counter and gradients are untouched."""

    class WithHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn, self.drop, self.head = nn.BatchNorm2d(3), nn.Dropout(), nn.Linear(3, 2)

        def forward(self, x):
            x = self.drop(self.bn(x))
            return self.head(x.mean((2, 3))) if self.training else x.mean((2, 3))

    model = WithHead().eval()
    before, counter = {k: v.copy() for k, v in model.state_dict().items()}, random.state.get()
    evaluation = mc.summary(model, (3, 4, 4), show=False)
    assert "head" not in {r.name for r in evaluation.rows} and evaluation.unused_params == 8
    assert "8 more parameters are in layers that did not run" in str(evaluation)
    assert "head" in rows(model, (3, 4, 4), training=True)
    training_memory(model, (3, 4, 4))
    assert not model.training and random.state.get() == counter and model.head.weight.grad is None
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_large_model_costs_no_memory():
    """ResNet-110 at 512x512: the outputs of its convolutions alone would take more than a gigabyte."""
    with kernels.shapes_only():
        model = models.get_model("resnet110")
    tracemalloc.start()
    table = mc.summary(model, (3, 512, 512), show=False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.total_memory > 1e9 and most < 30e6


def test_joins_and_sums_cost_no_memory_either():
    """What NumPy would compute, not a kernel: GoogLeNet's joined branches and ResNet's sums, forward and backward."""
    with kernels.shapes_only():
        joined, added, padded = (models.get_model(name) for name in ("googlenet", "resnet50", "resnet20"))
    tracemalloc.start()
    table = mc.summary(joined, (3, 2000, 2000), show=False)
    mc.summary(padded, (3, 2000, 2000), show=False)
    memory = training_memory(added, (3, 224, 224), 512)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.total_memory > 500e6 and 39e9 < memory.activations < 40e9 and most < 50e6


class OutsideKernels(running.Watcher):
    """The most memory outside of operations, without the working space of a kernel that is running."""

    peak = 0

    def look(self, *_) -> None:
        """Before an operation: all that happened since the last one."""
        self.peak = max(self.peak, tracemalloc.get_traced_memory()[1])

    def begin_again(self, *_) -> None:
        """After it: its inputs and results are all there."""
        tracemalloc.reset_peak()
        self.look()

    forward_begins = backward_begins = look
    forward_ends = backward_ends = begin_again


@pytest.mark.compiled  # kernels as plain Python make arrays that compiled ones do not
@pytest.mark.parametrize("size, batch", [((3, 32, 32), 16), ((3, 48, 48), 4)])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_memory_is_what_a_step_takes(size, batch, optimizer):
    """The peak of a real step, as the allocator counts it, is within 3 % of what was worked out from shapes."""
    mc.manual_seed(0)
    model = models.get_model("resnet20")
    made = optim.SGD(model.parameters(), 0.01, momentum=0.9) if optimizer == "sgd" else optim.Adam(model.parameters())
    expected = training_memory(model, size, batch, optimizer)
    x, y = np.random.default_rng(0).standard_normal((batch, *size)).astype(np.float32), np.zeros(batch, np.int64)

    def step():
        made.zero_grad()
        F.cross_entropy(model(mc.Tensor(x)), y).backward()
        made.step()

    step()  # compiles (which takes memory too), and makes the optimiser's state
    made.zero_grad()
    tracemalloc.start()
    watcher = OutsideKernels()
    with running.watched_by(watcher):
        step()
    watcher.look()
    tracemalloc.stop()
    before = expected.parameters + expected.state + x.nbytes
    assert watcher.peak == pytest.approx(expected.peak - before, rel=0.03)
    kept = sum(a.nbytes for state in made.state.values() for a in state.values() if isinstance(a, np.ndarray))
    assert (expected.parameters, expected.gradients, expected.state) == (
        4 * model.num_parameters(), 4 * model.num_parameters(), kept,
    )  # fmt: skip


def test_training_memory_refuses_what_it_does_not_know():
    with pytest.raises(mc.ArgumentError, match="optimizer must be one of sgd"):
        training_memory(nn.Conv2d(3, 2, 1), (3, 4, 4), optimizer="lion")
    with pytest.raises(mc.ArgumentError, match="batch_size must be a whole number >= 1, got 0"):
        training_memory(nn.Conv2d(3, 2, 1), (3, 4, 4), 0)


class ThroughNumPy(nn.Module):
    """Its forward leaves the framework between two layers; another layer's weights are made of weights."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.bn = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
        self.low, self.high = nn.Parameter(np.ones((4, 1), np.float32)), nn.Parameter(np.ones((1, 4), np.float32))

    def forward(self, x):
        mixed = F.conv2d(self.a(x), (F.relu(self.low) @ self.high).reshape(4, 4, 1, 1))
        return self.bn(self.b(mc.Tensor(mixed.data * np.float32(2))))


def test_a_forward_that_leaves_the_framework_is_noticed():
    """What comes behind has rows without a field, and a line says so; weights made of weights are no such thing."""
    table = mc.summary(ThroughNumPy(), (3, 8, 8), show=False)
    found = {r.name: r for r in table.rows}
    assert table.cut == ("b", "bn") and table.unused_params == 0
    assert table.total_params == ThroughNumPy().num_parameters()
    assert (found["b"].rf, found["b"].macs, found["a"].rf) == (None, 5 * 16 * 36, 3)
    assert "b, bn do not depend on the image: the forward leaves the framework before it" in str(table)
    assert mc.summary(Branches(), (3, 8, 8), show=False).cut == ()


def test_layers_in_a_plain_list_are_noticed():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layers = nn.Conv2d(3, 4, 1), [nn.Conv2d(4, 4, 1, bias=False)]

        def forward(self, x):
            return self.layers[0](self.first(x))

    table = mc.summary(Listed(), (3, 8, 8), show=False)
    assert table.strange_params == 16 and "16 parameters are used but are not the model's" in table.to("markdown")
    assert "nn.ModuleList" in str(table)
    whole = mc.summary(Branches(), (3, 8, 8), show=False)
    assert whole.strange_params == 0 and "ModuleList" not in str(whole)
