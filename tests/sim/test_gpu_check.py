"""``python -m minicnn.gpu_check``, on the simulator: what it says of a broken kernel, and that one costs no other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from minicnn import gpu_check, kernels
from minicnn.gpu_check import correctness, environment, examining, report, steps, times, workloads
from minicnn.gpu_check.__main__ import main
from minicnn.kernels.cuda import backend, launcher
from minicnn.kernels.sim import standin


def run(*arguments: str):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of a part's table."""
    part = text.split(f"## {title}\n")[1].split("\n## ")[0]
    return [[c.strip() for c in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("|")][2:]


@pytest.fixture
def few_kernels(monkeypatch):
    """Only these kernels are looked at, and only the part that compares them."""
    few = {name: kernels.KERNELS[name] for name in ("relu", "max_pool2d", "channel_sum")}
    monkeypatch.setattr(correctness.kernels, "KERNELS", few)
    monkeypatch.setattr(examining, "PARTS", {"Kernels against NumPy": correctness})


def changed(file: str, old: str, new: str):
    """A slip in a kernel's text."""
    text = launcher.source(file)
    assert old in text
    return launcher.replaced(file, text.replace(old, new))


@pytest.mark.compiled
def test_the_whole(tmp_path):
    """Every kernel in both dtypes and at the size of layers, three networks, times; the file holds what was printed."""
    result = run("--device", "sim", "--quick", "--output", tmp_path / "report.md")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "report.md").read_text()
    assert text in result.stdout and "FAILED" not in text
    assert "**105 passed, 0 failed**" in text  # in two dtypes 32 kernels and 3 networks, and 35 calls of layers' size
    compared = rows(text, "Kernels against NumPy")
    assert {tuple(r[1:3]) for r in compared} == {(k, d) for k in kernels.KERNELS for d in ("float32", "float64")}
    assert all(r[0] == "passed" and int(r[3]) >= 4 and float(r[4]) < 1e-4 for r in compared)
    assert {r[1].split(",")[0] for r in rows(text, "Kernels at the size of real layers")} == kernels.KERNELS.keys()
    trained = rows(text, "A training step against the CPU")
    assert len(trained) == 6 and all(r[0] == "passed" and float(r[4]) < 1e-3 for r in trained)
    measured = rows(text, "Times")
    assert all(float(r[3]) > 0 for r in measured) and "mean nothing about a GPU" in text
    assert {r[1].split(",")[0] for r in measured[3:]} == kernels.KERNELS.keys()
    facts = {r[1]: r[2] for r in rows(text, "Machine")}
    assert facts["compute capability"] == "9.0" and facts["NumPy"] == np.__version__ and "simulator" in facts["GPU"]
    assert facts["driver"].startswith("CUDA 13.0") and facts["compiler"] == "g++"


def test_a_fact_that_is_not_to_be_had(monkeypatch):
    """One line says "unknown" and why; the others are there."""
    monkeypatch.delattr(standin.cuda.runtime, "driverGetVersion")
    facts = dict(line.cells for line in environment.lines("sim", quick=True))
    assert facts["driver"].startswith("unknown (AttributeError") and facts["NumPy"] == np.__version__


def test_a_wrong_kernel_is_named_with_its_figures(few_kernels):
    """The status is 1; name, dtype, the error, where it is, what it should be; the others pass."""
    with changed("relu.cu", "y[i] = x[i] <= T(0) ? T(0) : x[i];", "y[i] = x[i] <= T(0) ? T(0) : x[i] + T(0.5);"):
        result = run("--device", "sim", "--quick")
    assert result.exit_code == 1
    status = {(r[1], r[2]): r for r in rows(result.stdout, "Kernels against NumPy")}
    for dtype in ("float32", "float64"):
        assert status["max_pool2d", dtype][0] == status["channel_sum", dtype][0] == "passed"
        wrong = status["relu", dtype]
        assert wrong[0] == "FAILED" and 0.1 < float(wrong[4]) <= 0.5
        assert "calls are wrong" in wrong[5] and "should be" in wrong[5] and f"{dtype}" in wrong[5]
    assert "2 failed**: Kernels against NumPy: relu; Kernels against NumPy: relu" in result.stdout


def test_a_kernel_that_does_not_compile_costs_no_other(few_kernels):
    """A compiler's message becomes one line of the table."""
    with changed("relu.cu", "y[i] = x[i] <=", "y[i] = z[i] <="):
        result = run("--device", "sim", "--quick")
    assert result.exit_code == 1 and "a first kernel failed (CompileError)" in result.stderr
    status = {(r[1], r[2]): r for r in rows(result.stdout, "Kernels against NumPy")}
    assert status["relu", "float64"][0] == "FAILED" and "CompileError" in status["relu", "float64"][5]
    assert status["channel_sum", "float64"][0] == "passed" and len(status) == 6


def test_a_wrong_step_is_named(monkeypatch):
    """A rate that is twice what it should be shows in the weights, and nowhere else."""
    monkeypatch.setattr(steps, "NETWORKS", steps.NETWORKS[:1])
    assert [line.status for line in steps.lines("sim", True)] == ["passed", "passed"]
    with changed("update.cu", "-= lr * ", "-= 2 * lr * "):
        for line in steps.lines("sim", True):
            assert line.status == "FAILED" and line.cells[-1] == "too far: weights"
    monkeypatch.setattr(steps, "NETWORKS", (("none", "no such network", {}, (1, 8, 8)),))
    assert all("no such network" in line.cells[-1] for line in steps.lines("sim", True))
    nothing = {"loss": {"loss": np.array(np.nan)}}
    assert steps._errors({"loss": {"loss": np.array(1.0)}}, nothing) == {"loss": np.inf}


def test_a_part_that_breaks_costs_no_other(monkeypatch):
    """What nobody foresaw is a failed line of its part, and the next part runs."""

    class Broken:
        HEAD, NOTE = ("what",), ""

        @staticmethod
        def lines(device, quick):
            yield report.Line("passed", ("one thing",))
            raise ZeroDivisionError("no\nthing")

    class Well(Broken):
        @staticmethod
        def lines(device, quick):
            yield report.Line("passed", ("another",))

    monkeypatch.setattr(examining, "PARTS", {"broken": Broken, "well": Well})
    found = gpu_check.examine("sim")
    assert found.passed == 2 and found.failed == ["broken: this part ended early"]
    assert "ZeroDivisionError: no thing (lines, line " in str(found)
    monkeypatch.setattr(times, "workloads", lambda xp, small: [workloads.Workload("odd", "relu", ("no array",))])
    line = list(times.lines("sim", True))[-1]
    assert line.status == "FAILED" and line.cells[0] == "odd"


def test_what_is_missing_is_one_sentence(monkeypatch, tmp_path):
    """No CuPy, no compiler, no place for the report: status 2 and the remedy, before any work."""
    for arguments in (("--output", tmp_path / "none" / "report.md"), ("--output", tmp_path)):
        result = run("--device", "sim", *arguments)
        assert result.exit_code == 2 and result.stdout == "", result.output
    with monkeypatch.context() as patch:
        patch.setattr(backend, "_usable", set())
        patch.setitem(sys.modules, "cupy", None)
        result = run()
        assert result.exit_code == 2 and result.stdout == ""
        assert "needs CuPy" in result.stderr and "pip install" in result.stderr and result.stderr.count("\n") == 1

    def no_headers(x):
        raise backend.DeviceUnavailable("CuPy does not find the CUDA headers: pip install it")

    monkeypatch.setattr(examining.kernels, "relu", no_headers)
    result = run("--device", "sim")
    assert result.exit_code == 2 and result.stderr == "gpu_check: CuPy does not find the CUDA headers: pip install it\n"


def test_runs_as_a_module():
    """``python -m minicnn.gpu_check``."""
    command = [sys.executable, "-m", "minicnn.gpu_check", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "--quick" in done.stdout and "One report to paste" in done.stdout


@pytest.mark.parametrize(
    "wanted, got, right, error",
    [
        (np.float32([1, 100]), np.float32([1, 100.005]), True, 5e-5),
        (np.float32([1, 100]), np.float32([1, 100.02]), False, 2e-4),
        (np.float64([1, 100]), np.float64([1, 100 + 1e-6]), False, 1e-8),
        (np.float32([1e-6]), np.float32([2e-6]), True, 1e-6),  # below 1, the unit is 1
        (np.float32([np.nan, np.inf]), np.float32([np.nan, np.inf]), True, 0),
        (np.float32([np.nan]), np.float32([0]), False, np.inf),
        (np.float32([0]), np.float32([np.nan]), False, np.inf),
        (np.float32([np.inf]), np.float32([-np.inf]), False, np.inf),
        (np.int32([3]), np.int32([4]), False, 1 / 3),
        (np.float32([3]), np.float64([3]), False, np.inf),
        (np.float32([3]), np.float32([3, 3]), False, np.inf),
        (np.float32([]), np.float32([]), True, 0),
    ],
)
def test_what_counts_as_right(wanted, got, right, error):
    """The tolerance is a share of the largest number; whole numbers, infinities and NaN are equal or wrong."""
    worst = correctness.Worst()
    assert correctness.compared(wanted, got, (got,), worst) is right
    np.testing.assert_allclose(worst.error, error, rtol=0.01, atol=1e-12)


def test_a_report_can_be_pasted():
    """Messages of many lines, and bars in them, stay in their cell; long ones are cut."""
    part = report.Part("p", ("what", "found"), "note")
    part.lines = [report.Line("FAILED", ("a|b", "x\n  y")), report.Line("passed", ("z" * 1000,))]
    text = part.markdown()
    assert "| FAILED | a\\|b | x y |" in text and max(map(len, text.splitlines())) < 450
    assert len({line.count(" |") for line in text.splitlines() if line.startswith("|")}) == 1


def test_floors():
    """Bytes of what goes in and comes out, updates twice; the slower of memory and arithmetic."""
    x = standin.ones((2, 8, 3, 4), "float32")
    assert times.least_bytes(workloads.Workload("relu", "relu", (x,))) == 2 * x.nbytes
    sgd = workloads.Workload("sgd", "sgd_update", (x, x.copy(), x.copy(), 0.1, 0.9, 0.0, False))
    assert times.least_bytes(sgd) == 5 * x.nbytes  # reads three, writes two
    speeds = times.Speeds(bandwidth=10, flops=100)
    assert speeds.floor(50, 400) == 5 and speeds.floor(50, 600) == 6
    ticks = iter([0, 4, 1, 7, 2, 6])

    class Event:
        def record(self):
            self.time = next(ticks)

        def synchronize(self):
            pass

    class Xp:
        class cuda:  # noqa: N801
            pass

    Xp.cuda.Event = Event
    Xp.cuda.get_elapsed_time = lambda start, end: end.time - start.time
    calls = []
    assert times.Clock(Xp, rounds=3, calls=2).seconds(lambda: calls.append(1)) == 4 / 1e3 / 2
    assert len(calls) == 7


def test_cupys_way_computes_the_same():
    """What a kernel is timed against must be worth comparing with."""
    found = {load.title: load for load in workloads.workloads(standin, small=True)}
    for name in ("relu", "relu_backward", "relu6", "relu6_backward", "leaky_relu", "channel_sum", "batch_norm",
                 "adaptive_avg_pool2d", "matmul"):  # fmt: skip
        load = found[name]
        ours, theirs = kernels.KERNELS[name](*load.arguments), load.cupy()
        ours = ours.transpose(0, 2, 3, 1) if ours.ndim == 4 else ours
        np.testing.assert_allclose(theirs.get().ravel(), ours.get().ravel(), rtol=1e-3, atol=1e-4, err_msg=name)
    mean, var = kernels.channel_stats(*found["channel_stats"].arguments)
    np.testing.assert_allclose([a.get() for a in found["channel_stats"].cupy()], [mean.get(), var.get()], rtol=1e-4)
    p = kernels.softmax_cross_entropy(*found["softmax_cross_entropy"].arguments)[1]
    np.testing.assert_allclose(found["softmax_cross_entropy"].cupy().get(), p.get(), rtol=1e-4)
