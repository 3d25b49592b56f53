"""The profiler: every moment is booked once, to the right layer and column; memory by hand; what it shows."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest
from profiling_helpers import Layer, Residual, Timer, batches_of, images, rows_by_name, small_network, takes, train_step

import minicnn as mc
from minicnn import models, nn, optim, profiling_step
from minicnn.profiling_step import OPTIMISER, OUTSIDE, REST, WAITING


@pytest.fixture
def timer(monkeypatch):
    timer = Timer()
    monkeypatch.setattr(profiling_step, "perf_counter", timer)
    return timer


# Times ---------------------------------------------------------------------------------------------------------------
def test_every_moment_is_booked_to_its_layer_and_column(timer):
    """Waiting, Python in a layer, operations both ways, a block's own, loss, optimiser, the rest: each another time."""
    turn = timer.turn

    class Optimizer(optim.SGD):
        def update(self, *args):
            turn(16)
            super().update(*args)

    inner = Residual(Layer(turn, forward=1, backward=2, python=4), takes(turn, 8, 32))
    model = nn.Sequential(inner, Layer(turn, forward=64))
    optimizer = Optimizer(model.parameters(), 0.1)
    with mc.profile(model, skip=1) as p:
        for x in p.steps(batches_of(turn, 3, 128)):
            loss = takes(turn, 256, 512).apply(model(x)).sum()
            turn(1024)
            loss.backward()
            optimizer.step()
        assert p.counted == 2
    rows = rows_by_name(p)
    seconds = {name: (r.forward_ms / 1000, r.backward_ms / 1000, r.ms / 1000) for name, r in rows.items()}
    assert seconds == {
        "0": (8, 32, 40), "0.layer": (5, 2, 7), "1": (64, 0, 64),
        OUTSIDE: (256, 512, 768), OPTIMISER: (0, 0, 32), WAITING: (0, 0, 128), REST: (0, 0, 1024),
    }  # fmt: skip
    assert p.total_ms == 1000 * timer.now / 3 == sum(row.ms for row in p.rows)
    assert sum(row.share for row in p.rows) == pytest.approx(1)


@pytest.mark.parametrize("column", ["forward_ms", "backward_ms"])
def test_a_sleeping_layer_is_the_largest_row(column):
    """The real clock: sleep in a layer's forward, or in its operation's backward; the rows sum to the step."""
    forward, backward = (0.0, 0.05) if column == "backward_ms" else (0.0, 0.0)
    slow = Layer(time.sleep, forward, backward, python=0.05 if column == "forward_ms" else 0.0)
    model = nn.Sequential(nn.Linear(3, 3), slow, nn.Linear(3, 3))
    with mc.profile(model, skip=1) as p:
        for _ in range(2):  # the first compiles, which may take longer than the sleep
            before = time.perf_counter()
            with p.step():
                model(images()).sum().backward()
            wall = 1000 * (time.perf_counter() - before)
    largest = max(p.rows, key=lambda row: row.ms)
    assert largest.name == "1" and getattr(largest, column) > largest.ms / 2
    assert sum(row.ms for row in p.rows) == pytest.approx(p.total_ms) and p.total_ms <= wall
    assert "* most time: 1 " in str(p)


def test_a_layer_used_twice_has_one_row(timer):
    layer = Layer(timer.turn, forward=1, backward=2)
    with mc.profile(nn.Sequential(layer, nn.Sequential(layer))) as p:
        p.model(images()).sum().backward()
    row = rows_by_name(p)["0"]
    assert (row.forward_ms, row.backward_ms) == (2000, 4000)
    assert row.kept_mb * 1e6 == pytest.approx(images().nbytes)  # what the second product saved: the first's result


def test_a_layer_of_its_own_making_is_booked_to_its_caller(timer):
    """Modules that the model does not know of: made in a forward, or a loss beside the model."""
    turn = timer.turn

    class Maker(nn.Module):
        def forward(self, x):
            return Layer(turn, forward=1, backward=2)(x)

    model = nn.Sequential(Layer(turn), Maker())
    with mc.profile(model) as p:
        Layer(turn, forward=4, backward=8, python=16)(model(images())).sum().backward()
    rows = rows_by_name(p)
    assert (rows["1"].forward_ms, rows["1"].backward_ms) == (1000, 2000)
    assert (rows[OUTSIDE].forward_ms, rows[OUTSIDE].backward_ms) == (20000, 8000)


def test_a_replaced_operation_counts_for_its_layer(timer):
    model = small_network()
    with mc.replace("relu", takes(timer.turn, 1, 2)), mc.profile(model) as p:
        train_step(model)
    row = rows_by_name(p)["2"]
    assert (row.kind, row.forward_ms, row.backward_ms, p.total_ms) == ("ReLU", 1000, 2000, 3000)


def test_a_part_of_the_model_can_be_profiled(timer):
    turn = timer.turn
    model = nn.Sequential(Layer(turn, forward=1), Layer(turn, forward=2))
    with mc.profile(model[0]) as p:
        model(images()).sum().backward()
    rows = rows_by_name(p)
    assert rows["Layer"].forward_ms == 1000 and rows[OUTSIDE].forward_ms == 2000


def test_a_container_has_a_row_only_if_it_does_something(timer):
    turn = timer.turn

    class Slow(nn.Sequential):
        def forward(self, x):
            turn(1)
            return super().forward(x)

    model = nn.Sequential(nn.Sequential(Layer(turn, forward=1)), Slow(Layer(turn, forward=1)))
    with mc.profile(model) as p:
        model(images())
    assert [row.name for row in p.rows] == ["0.0", "1", "1.0", OUTSIDE, OPTIMISER, WAITING, REST]


def test_layers_of_resnet20_once_and_in_order(timer):
    """Every leaf and everything with operations of its own, by path; its kind names them."""
    model = models.get_model("resnet20")
    with mc.profile(model) as p:
        model(np.ones((2, 3, 8, 8), np.float32)).sum().backward()
    named = [(name or "CifarResNet", m) for name, m in model.named_modules()]
    expected = [name for name, m in named if m is model or not list(m.children())]
    assert [row.name for row in p.rows] == [*expected, OUTSIDE, OPTIMISER, WAITING, REST]
    assert rows_by_name(p)["CifarResNet"].kind == "CifarResNet: Reshape"


# Memory --------------------------------------------------------------------------------------------------------------
def test_kept_memory_by_hand(timer):
    """Batch 5, float32: ReLU keeps its output (5, 8), the loss its probabilities (5, 4); nobody asks for the others."""
    model = small_network()
    with mc.profile(model) as p:
        train_step(model)
    kept = {row.name: round(row.kept_mb * 1e6) for row in p.rows}
    own = {"0": 0, "1": 0, "2": 5 * 8 * 4, "3": 0, OUTSIDE: 5 * 4 * 4}
    assert kept == own | {OPTIMISER: 0, WAITING: 0, REST: 0}
    assert p.kept_mb * 1e6 == pytest.approx(sum(own.values()))


def test_a_buffer_counts_once_for_who_made_it():
    """A view of a result, an array that a forward keeps as an attribute, a saved input, a buffer of the model."""

    class Keeps(mc.Function):
        @staticmethod
        def forward(ctx, x, table):
            ctx.save_for_backward(x, x[:1], table)
            ctx.half = np.zeros(100, np.float64)
            ctx.pair = {"a": ctx.half[:50]}
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", np.zeros(50, np.float32))

        def forward(self, x):
            return Keeps.apply(x, table=self.table.data)

    model = nn.Sequential(nn.Linear(3, 6), nn.Flatten(), Own(), nn.Linear(6, 1))
    with mc.profile(model) as p:
        model(images()).sum().backward()
    kept = {row.name: round(row.kept_mb * 1e6) for row in p.rows}
    assert (kept["0"], kept["1"], kept["2"], kept["3"]) == (4 * 6 * 4, 0, 800 + 4 * 6 * 4, 0)


def test_frozen_layers_have_no_backward_but_their_result_is_kept(timer):
    turn = timer.turn
    model = nn.Sequential(nn.Flatten(), Layer(turn, forward=1, backward=2), nn.Flatten(), nn.Linear(3, 2))
    model[1].requires_grad_(False)
    with mc.profile(model) as p:
        model(images()).sum().backward()
    rows = rows_by_name(p)
    assert (rows["1"].forward_ms, rows["1"].backward_ms) == (1000, 0)
    kept = [round(rows[name].kept_mb * 1e6) for name in "0123"]
    assert kept == [0, 4 * 3 * 4, 0, 0]  # the second flatten is a view of the frozen result


def test_no_grad_keeps_nothing_and_models_may_lack_parameters(timer):
    turn = timer.turn
    model = nn.Sequential(nn.Flatten(), nn.ReLU())
    with mc.profile(model) as p, mc.no_grad():
        model(images())
        turn(1)
    assert p.kept_mb == 0 and p.parameters_mb == 0 and p.total_ms == 1000
    with mc.profile(model) as p:
        x = mc.tensor(images(), requires_grad=True)
        model(x).sum().backward()
    assert p.kept_mb * 1e6 == images().nbytes and x.grad is not None


def test_parameters_gradients_and_optimiser_state():
    """Adam keeps two averages; the last step is without an update, as when gradients are accumulated."""
    model = small_network()
    optimizer = optim.Adam(model.parameters(), 1e-3)
    p = mc.profile(model)
    for updates in p.steps([True, True, False]):
        train_step(model, optimizer=optimizer if updates else None)
    size = 4 * model.num_parameters() / 1e6
    assert p.parameters_mb == p.gradients_mb == size and p.optimizer_mb == pytest.approx(2 * size)
    assert p.peak_mb is None or p.peak_mb > 10  # Python and NumPy alone need more


# What it shows -------------------------------------------------------------------------------------------------------
def test_csv_holds_the_rows(tmp_path):
    model = small_network()
    with mc.profile(model) as p:
        train_step(model)
    p.save(tmp_path / "new" / "profile.csv")
    with open(tmp_path / "new" / "profile.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert list(written[0]) == ["name", "kind", "forward_ms", "backward_ms", "ms", "share", "kept_mb"]
    assert [(row["name"], row["kind"]) for row in written] == [(row.name, row.kind) for row in p.rows]
    for column in ("forward_ms", "backward_ms", "ms", "share", "kept_mb"):
        np.testing.assert_allclose([float(row[column]) for row in written], [getattr(r, column) for r in p.rows], 1e-5)
    with pytest.raises(mc.FileError, match="cannot write"):
        p.save(tmp_path)


def test_the_table(timer):
    """Aligned, with a sum, a star at the three dearest and a line that names them."""
    turn = timer.turn
    model = nn.Sequential(*(Layer(turn, forward=s, backward=s) for s in (1, 8, 2, 4)))
    with mc.profile(model) as p:
        model(images()).sum().backward()
    lines = str(p).split("\n")
    assert lines[0] == "Sequential, a training step in ms (one step; compiling included)"
    starred = [line.split()[0] for line in lines if line.endswith("  *")]
    assert starred == ["1", "2", "3"]
    total = next(line for line in lines if line.startswith("total"))
    assert total.split() == ["total", "15,000.00", "15,000.00", "30,000.00", "100.0%", "0.00"]
    ends = {line.index("%") for line in lines if line.split()[0] in ("0", "1", "2", "3", "total")}
    assert len(ends) == 1
    assert "* most time: 1 53%, 3 27%, 2 13%" in lines and "  by kind: Layer 100%" in lines
    assert repr(p) == "<Profile of Sequential: 1 steps of 30000.0 ms>"


def test_nothing_measured_says_so():
    p = mc.profile(small_network())
    assert "no step was finished" in str(p) and p.total_ms == 0 and all(row.ms == 0 for row in p.rows)


def test_wrong_arguments():
    with pytest.raises(mc.ArgumentError, match=r"make one, ReLU\(...\)"):
        mc.profile(nn.ReLU)
    with pytest.raises(mc.ArgumentError, match="skip must be a whole number >= 0"):
        mc.profile(nn.ReLU(), skip=-1)
    with pytest.raises(mc.ArgumentError, match="steps must be a whole number >= 1"):
        mc.profile(nn.ReLU(), steps=0)
    p = mc.profile(nn.ReLU())
    with p.step(), pytest.raises(mc.ArgumentError, match="a step is going on already"), p.step():
        pass
