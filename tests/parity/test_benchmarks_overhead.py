"""What ``make bench-overhead`` times is the same computation on all sides, and its figures are what they are called."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("torch")

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import overhead  # noqa: E402
import scalars  # noqa: E402
import tiny  # noqa: E402
from sides import SideError  # noqa: E402

from minicnn import running  # noqa: E402


@pytest.mark.parametrize("operation", tiny.OPERATIONS)
def test_single_operations_agree(operation):
    """Value and gradients of both frameworks; a gradient of 0 would compare nothing."""
    request = {"operation": operation, "backward": True}
    ours, theirs = (tiny.Task(framework, request).first() for framework in ("minicnn", "torch"))
    assert ours == pytest.approx(theirs, rel=overhead.AGREE)
    assert ours["value"] > 0 and ours["gradients"] > 0


def test_only_where_asked_gradients_are_computed():
    """What is called forward does not pay for a backward."""
    task = tiny.Task("minicnn", {"operation": "add", "backward": False})
    task.step()
    assert task.tensors["a"].grad is None


class Value:
    """A scalar with the interface of micrograd's, for a test without it: the derivative along one direction."""

    def __init__(self, data: float) -> None:
        self.data = data

    def __add__(self, other: Value) -> Value:
        return Value(self.data + other.data)

    def __mul__(self, other: Value) -> Value:
        return Value(self.data * other.data)

    def relu(self) -> Value:
        return Value(max(0.0, self.data))


def test_all_frameworks_run_the_same_scalars():
    """minicnn's and PyTorch's float32 and Python's float64 give the same score, the first two the same gradients."""
    both = [scalars.Task({"backward": True}, *scalars.framework(name)).first() for name in ("minicnn", "torch")]
    plain = scalars.Task({"backward": False}, Value, lambda v: v.data, None).step().data
    assert both[0] == pytest.approx(both[1], rel=overhead.AGREE) and both[0]["gradients"] > 0
    assert both[0]["value"] == pytest.approx(plain, rel=overhead.AGREE)


def test_the_count_of_nodes_is_that_of_the_graph():
    """Time per node is divided by as many operations as run."""

    class Counter(running.Watcher):
        count = 0

        def forward_ends(self, ctx, inputs, out) -> None:
            self.count += 1

    task = scalars.Task({"backward": False}, *scalars.framework("minicnn"))
    with running.watched_by(counter := Counter()):
        task.step()
    assert counter.count == scalars.count()


def test_sides_that_differ_are_not_timed():
    """A wrong value is a line that says so."""

    class Fixed:
        def __init__(self, value: float) -> None:
            self.value = value

        def ask(self, do: str, **request) -> dict:
            return {"value": self.value, "gradients": 1.0}

    with pytest.raises(SideError, match="value.*'torch': 2.0"):
        overhead.measure({"minicnn": Fixed(1.0), "torch": Fixed(2.0)}, {"operation": "add", "backward": True}, 1)


def test_the_command(tmp_path):
    """A short run, from the processes to the table and the file."""
    out = tmp_path / "overhead.json"
    arguments = ["--only", "^relu", "--rounds", "1", "--out", str(out)]
    done = subprocess.run([sys.executable, BENCHMARKS / "overhead.py", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text())["results"]
    assert [r["name"] for r in results] == ["relu forward", "relu forward + backward"]
    assert all(set(r["us"]) == {"minicnn", "torch"} and min(r["us"].values()) > 0 for r in results)
    assert f"{results[0]['us']['minicnn']:.2f}" in done.stdout
