"""The profiler: which steps count, errors, and what else goes on: anomalies, threads, bit-identical training."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from profiling_helpers import Layer, Timer, images, rows_by_name, small_network, takes, train_step

import minicnn as mc
from minicnn import nn, optim, profiling_step, running
from minicnn.profiling_step import OPTIMISER, OUTSIDE, REST, WAITING


@pytest.fixture
def timer(monkeypatch):
    timer = Timer()
    monkeypatch.setattr(profiling_step, "perf_counter", timer)
    return timer


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    assert running.watchers() == () and running.modules() == ()


# Steps ---------------------------------------------------------------------------------------------------------------
def test_warm_up_is_skipped_and_measuring_ends(timer):
    """Durations 100, 10, 1, 2, 4 s: the third and fourth count; the fifth runs with nobody looking on."""
    turn, watched = timer.turn, []
    p = mc.profile(small_network(), skip=2, steps=2)
    for seconds in p.steps([100, 10, 1, 2, 4]):
        turn(seconds)
        watched.append(len(running.watchers()))
    assert watched == [1, 1, 1, 1, 0] and p.done and (p.counted, p.total_ms) == (2, 1500)
    with p, p.step():
        turn(8)
    assert (p.counted, p.total_ms) == (2, 1500)


def test_of_fewer_steps_than_skipped_the_last_counts(timer):
    turn = timer.turn
    with mc.profile(small_network(), skip=5) as p:
        for seconds in p.steps([100, 10]):
            turn(seconds)
    assert (p.counted, p.total_ms) == (1, 10000)
    assert "one step, after 1 to warm up" in str(p)


def test_steps_marked_by_hand(timer):
    """Only what is inside the steps counts, not what is between them."""
    turn = timer.turn
    with mc.profile(small_network(), skip=0) as p:
        turn(100)
        for _ in range(2):
            with p.step():
                with p.waiting():
                    turn(1)
                with p.optimizing():
                    turn(2)
                turn(4)
            turn(100)
    rows = rows_by_name(p)
    assert (rows[WAITING].ms, rows[OPTIMISER].ms, rows[REST].ms, p.total_ms) == (1000, 2000, 4000, 7000)


def test_a_broken_off_step_does_not_count(timer):
    turn = timer.turn
    p = mc.profile(small_network(), skip=0)
    for seconds in p.steps([1, 2, 100]):
        turn(seconds)
        if seconds == 100:
            break
    with pytest.raises(ZeroDivisionError):
        for seconds in p.steps([100]):
            turn(seconds / 0)
    with pytest.raises(ZeroDivisionError), p.step():
        turn(100 / 0)
    with pytest.raises(ZeroDivisionError), p:
        turn(100 / 0)
    assert (p.counted, p.total_ms) == (2, 1500)


@pytest.mark.parametrize("where", ["forward", "backward", "python"])
def test_after_an_error_all_is_as_before(timer, where):
    """A layer that fails inside a block, forward or backward: nobody looks on, and the next step is exact."""
    turn, fails = timer.turn, [True]

    def fail(seconds):
        if fails[0] and seconds:
            raise RuntimeError("no")
        turn(seconds)

    model = nn.Sequential(nn.Sequential(Layer(fail, **{where: 1.0})), Layer(turn, forward=2))
    p = mc.profile(model, skip=0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"), p.step():
            model(images()).sum().backward()
        assert running.watchers() == () and running.modules() == () and p.counted == 0
    fails[0] = False
    with p.step():
        model(images()).sum().backward()
    rows = rows_by_name(p)
    assert rows["0.0"].ms == 1000 and rows["1"].ms == 2000 and p.total_ms == 3000


def test_an_error_that_is_caught_inside_a_step_misplaces_no_time(timer):
    """After it, the account of the failed operation is closed."""
    turn = timer.turn

    def fail(seconds):
        raise RuntimeError("no")

    model = nn.Sequential(Layer(fail), Layer(turn, forward=1))
    with mc.profile(model) as p:
        with pytest.raises(RuntimeError):
            model(images())
        with pytest.raises(RuntimeError):
            takes(fail).apply(images())
        model[1](images())
        turn(2)
    rows = rows_by_name(p)
    assert (rows["0"].ms, rows["1"].ms, rows[OUTSIDE].ms, rows[REST].ms) == (0, 1000, 0, 2000)


# Beside others -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile_first", [True, False])
def test_together_with_detect_anomaly(timer, profile_first):
    """Each does its work whichever was there first, and leaves without taking the other with it."""
    turn = timer.turn

    class Root(nn.Module):
        def forward(self, x):
            return (x * 0.0).sqrt()

    model = nn.Sequential(Layer(turn, forward=1, backward=2), nn.Sequential(Root()))
    p = mc.profile(model, skip=0)
    with p.step() if profile_first else mc.detect_anomaly():
        with mc.detect_anomaly() if profile_first else p.step():
            model[0](images()).sum().backward()
            with pytest.raises(mc.AnomalyError, match="backward of Sqrt") as e:
                model(images()).sum().backward()
            assert e.value.path == "1.0"
        assert len(running.watchers()) == 1
    row = rows_by_name(p)["0"]
    assert (row.forward_ms, row.backward_ms) == (2000, 2000)


def test_threads_do_not_see_each_other():
    """Another thread runs another layer of the same model in the meantime: it has no row here."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    p, seen = mc.profile(model), []

    def other():
        with p.waiting():  # not this thread's step
            model[1](images()).sum().backward()
        seen.append(running.watchers())

    with p:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        model[0](images()).sum().backward()
    rows = rows_by_name(p)
    assert seen == [()] and "0" in rows and "1" not in rows and rows[WAITING].ms == 0


def test_two_profiles_at_once(timer):
    turn = timer.turn
    model = nn.Sequential(Layer(turn, forward=1), Layer(turn, forward=2))
    with mc.profile(model) as whole, mc.profile(model[1]) as part:
        model(images())
    assert rows_by_name(whole)["1"].ms == rows_by_name(part)["Layer"].ms == 2000


def test_training_is_bit_identical_with_and_without():
    def weights(profiled):
        mc.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.3), small_network_of(4))
        optimizer = optim.SGD(model.parameters(), 0.1, momentum=0.9)
        p = mc.profile(model)
        for _ in p.steps(range(4)) if profiled else range(4):
            optimizer.zero_grad()
            train_step(model, optimizer=optimizer)
        return {name: array.copy() for name, array in model.state_dict().items()}

    plain, profiled = weights(False), weights(True)
    for name in plain:
        np.testing.assert_array_equal(plain[name], profiled[name])


def small_network_of(channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * channels, 4))
