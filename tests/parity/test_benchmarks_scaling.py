"""``make bench-scaling``: what is varied, what is fitted, and a short run down to the page."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("torch")

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import machine  # noqa: E402
import scaling  # noqa: E402
import scaling_page  # noqa: E402
import scaling_work  # noqa: E402


def made_up(axis: str, power: float, values=(1, 2, 4, 8)) -> list[dict]:
    """Steps whose time is 3 * value^power, and whose memory twice as much; PyTorch's grow linearly."""
    return [
        {"axis": axis, "curve": "net", "value": v, "ms": {"ours": 3 * v**power, "PyTorch": float(v)},
         "mb": {"ours": 6 * v**power, "PyTorch": float(v)}}
        for v in values
    ]  # fmt: skip


def test_the_exponent_of_a_power_is_found():
    assert scaling.exponent([1, 2, 4, 8], [3 * v**1.5 for v in (1, 2, 4, 8)]) == pytest.approx(1.5)


def test_the_sentences_say_what_grows():
    """Per curve; failed points are left out, and of threads only the time is fitted."""
    steps = (
        made_up("batch", 0.97) + made_up("threads", -0.9) + [{"axis": "batch", "curve": "net", "value": 9, "error": ""}]
    )
    batch, threads = scaling.sentences(steps)
    assert batch == (
        "net, batch 1 to 8: time grows like batch^0.97 (PyTorch's 1.00), memory grows like batch^0.97 (PyTorch's 1.00)"
    )
    assert threads == "net, threads 1 to 8: time falls like threads^-0.90 (PyTorch's 1.00)"


def test_figures_take_pytorchs_better_format():
    """For time and for memory, each its own; without /proc there is no memory."""
    line = {
        "ms": {"ours": 5.0, "torch contiguous": 4.0, "torch channels_last": 3.0},
        "megabytes": {"ours": 7.0, "torch contiguous": 8.0, "torch channels_last": 9.0},
    }
    assert scaling.figures(line) == {"ms": {"ours": 5.0, "PyTorch": 3.0}, "mb": {"ours": 7.0, "PyTorch": 8.0}}
    assert scaling.figures(line | {"megabytes": dict.fromkeys(line["ms"])})["mb"] is None


def test_convolutions_are_counted():
    """ResNet-20's second: 2 * 9 * 16 * 16 FLOP per pixel; image and result move once, weights too."""
    found = {c.work.name: c for c in scaling_work.convolutions(quick=True)}
    layer = found["resnet20: conv 3x3 16-16 @32"]
    assert layer.flops == 2 * 9 * 16 * 16 * 32 * 32
    assert layer.bytes == 4 * (2 * 16 * 32 * 32 + 9 * 16 * 16)
    assert layer.work.shape == (1, 16, 32, 32) and layer.work.kind == "forward"


def test_curves_change_one_thing():
    """All models, batches and sizes of the full run exist; the points of one curve differ in its axis alone."""
    steps = scaling_work.points(quick=False)
    assert {p.axis for p in steps} == {"batch", "size", "depth", "threads"}
    for axis, curve in {(p.axis, p.curve) for p in steps}:
        line = [p for p in steps if (p.axis, p.curve) == (axis, curve)]
        fixed = {
            "batch": {(p.work.model, p.work.shape[1:], p.threads) for p in line},
            "size": {(p.work.model, p.work.shape[:2], p.threads) for p in line},
            "depth": {(p.work.shape, p.threads) for p in line},
            "threads": {(p.work.model, p.work.shape) for p in line},
        }[axis]
        assert len(fixed) == 1 and len({p.value for p in line}) == len(line)
    assert len({p.work.group for p in steps}) == len(steps)  # fresh processes for each: memory is measured


def test_the_page_draws_what_was_measured(tmp_path):
    """Six plots: five with every point of their axis, and the layers below the two measured roofs."""
    facts = {"cpu": "a", "cores": 2, "threads": 2, "peaks": {"numpy": 90.0, "torch": 100.0}, "copy": 10.0}
    layer = {"model": "m", "name": "c", "flop_per_byte": 2.0, "gflops": {"ours": 15.0, "PyTorch": 12.0}}
    steps = [s for axis in ("batch", "size", "depth", "threads") for s in made_up(axis, 1.0)]
    run = {"machine": facts, "steps": steps, "convolutions": [layer]}
    figure = scaling_page.page(run, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    *curves, roof = figure.axes
    assert [axes.lines[0].get_ydata().tolist() for axes in curves] == [[3, 6, 12, 24]] * 4 + [[6, 12, 24, 48]]
    (line,) = roof.lines
    assert line.get_xdata().tolist() == [1.0, 10.0, 20.0] and line.get_ydata().tolist() == [10.0, 100.0, 100.0]


def test_the_bandwidth_is_a_number_of_gigabytes():
    assert machine.bandwidth(threads=1) > 0


def test_the_command(tmp_path):
    """A short run of everything: table, sentences, file, page."""
    out, plot = tmp_path / "scaling.json", tmp_path / "scaling.png"
    arguments = ["--quick", "--threads", "1", "--out", str(out), "--plot", str(plot)]
    done = subprocess.run([sys.executable, BENCHMARKS / "scaling.py", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads(out.read_text())
    assert len(run["steps"]) == 7 and len(run["convolutions"]) == 2 and plot.exists()
    assert len(run["sentences"]) == 3 and all(s in done.stdout for s in run["sentences"])
    if sys.platform == "linux":
        assert all(s["mb"]["ours"] > 1 for s in run["steps"])
