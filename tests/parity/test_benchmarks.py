"""The benchmark compares like with like, and its figures are what they are called."""

from __future__ import annotations

import json
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import ours  # noqa: E402
import replay  # noqa: E402
import report  # noqa: E402
import sides  # noqa: E402
import theirs  # noqa: E402
import workloads  # noqa: E402
from recording import record  # noqa: E402

EVERY_LAYER = (
    "Conv2d(4, 8, 3, padding=(1, 1, 1, 0)), BatchNorm2d(8), ReLU(), MaxPool2d(2, padding=(0, 1, 0, 1)),"
    "Conv2d(8, 8, 3, groups=8), LocalResponseNorm(5, average=False), ReLU6(), AvgPool2d(2, padding=1, ceil_mode=True),"
    "AdaptiveAvgPool2d(2), Flatten(), Linear(32, 16), Dropout(0.5), Linear(16, 4)"
)
NETWORKS = [
    (EVERY_LAYER, (3, 4, 17, 18)),
    ("resnet20", (4, 3, 32, 32)),
    ("preact_resnet18", (2, 3, 64, 64)),
    ("mobilenet_v2", (4, 3, 64, 64)),
    ("shufflenet_v1", (4, 3, 64, 64)),
    ("shufflenet_v2", (4, 3, 64, 64)),
    ("googlenet", (2, 3, 224, 224)),
]
CASES = [(*network, kind) for network in NETWORKS for kind in ("train", "infer")]
CASES += [(EVERY_LAYER, (3, 4, 17, 18), kind) for kind in ("forward", "both")]


@pytest.mark.parametrize(("model", "shape", "kind"), CASES, ids=lambda v: v.split("(")[0] if isinstance(v, str) else "")
def test_both_sides_compute_the_same_network(model, shape, kind, tmp_path):
    """What is timed on the one side is what is timed on the other: value and gradients agree in both memory formats."""
    work = workloads.Work("test", model, shape, kind).request()
    (tmp_path / "program").write_bytes(pickle.dumps(record(ours.build(work).train(kind != "infer"), shape)))
    own = ours.Task({"work": work}).first()
    for layout in theirs.LAYOUTS.values():
        task = theirs.Task
        task.layout = layout
        other = task({"work": work, "program": str(tmp_path / "program")}).first()
        np.testing.assert_allclose(own["value"], other["value"], rtol=1e-5)
        np.testing.assert_allclose(own["gradients"], other["gradients"], rtol=5e-3)


def test_a_misplaced_weight_is_noticed():
    """Weights of equal shape are different numbers, so the check before timing sees one used for another."""
    work = workloads.Work("test", "resnet20", (2, 3, 32, 32), "infer").request()
    program = record(ours.build(work).eval(), (2, 3, 32, 32))
    right = replay.Replay(program, torch.contiguous_format)
    convolutions = [s for s in program["steps"] if s["op"] == "conv2d" and "layer1" in s["inputs"][1][1]]
    a, b = convolutions[0]["inputs"], convolutions[1]["inputs"]
    a[1], b[1] = b[1], a[1]
    wrong = replay.Replay(program, torch.contiguous_format)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert abs(right(x)[0].norm() / wrong(x)[0].norm() - 1) > 1e-2


def test_nothing_is_overwritten_that_is_needed():
    """In place goes only what one step alone takes, of an operation that needs its result no more."""
    steps = [
        {"op": "conv2d", "inputs": [0], "value": 1},
        {"op": "relu", "inputs": [1], "value": 2},
        {"op": "add", "inputs": [1, 2], "value": 3},
        {"op": "relu", "inputs": [3], "value": 4},
        {"op": "relu", "inputs": [4], "value": 5},
    ]
    found = [(free, alone) for _, free, alone in replay.lifetimes({"steps": steps, "outputs": [5]})]
    assert found == [([0], False), ([], False), ([1, 2], False), ([3], True), ([4], False)]


def test_a_line_says_what_was_measured():
    """The ratio is that of the medians to the better format, memory that to the smaller one."""
    seconds = {"ours": [1.0, 2.0, 9.0], "torch contiguous": [4.0, 4.0, 4.0], "torch channels_last": [8.0, 2.0, 16.0]}
    memory = {"ours": 30.0, "torch contiguous": 20.0, "torch channels_last": 40.0}
    line = report.figures(seconds, memory, flops=4 * 10**9)
    assert (line["ratio"], line["lowest"], line["highest"]) == (0.5, 0.25, 2.25)
    assert (line["memory_ratio"], line["gflops"], line["ms"]["ours"]) == (1.5, 2.0, 2000.0)


def test_a_side_that_ends_says_why():
    """A workload that fails is a line with its reason."""
    with pytest.raises(sides.SideError, match="torch: no such network"):
        sides.Side("torch", [sys.executable, "-c", "import sys; sys.exit('no such network')"], 1).ask("prepare")


def test_the_command(tmp_path):
    """One short run, from three processes to the table, the file, and the table of ratios out of the file."""
    out = tmp_path / "bench.json"
    arguments = ["--only", "^small step", "--rounds", "2", "--threads", "1", "--out", str(out)]
    done = subprocess.run([sys.executable, BENCHMARKS / "bench.py", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = json.loads(out.read_text())
    (line,) = run["results"]
    assert "error" not in line and line["rounds"] == 2 and line["name"] in done.stdout
    assert line["ratio"] == pytest.approx(line["ms"]["ours"] / min(v for k, v in line["ms"].items() if k != "ours"))
    assert min(run["machine"]["peaks"].values()) > 0
    if sys.platform == "linux":
        assert line["megabytes"]["ours"] > 8.4  # the maps after the convolution alone
    again = subprocess.run([sys.executable, BENCHMARKS / "report.py", out], capture_output=True, text=True, check=True)
    assert f"| small step b32 | {line['ratio']:.2f} |" in again.stdout


def test_the_small_step_gives_the_known_losses():
    """Every framework is held to the same three losses; here minicnn and PyTorch."""
    for script, *options in (("minicnn_step.py", "1"), ("torch_step.py", "1", "channels_last")):
        side = sides.Side(script, [sys.executable, str(BENCHMARKS / "small_step" / script), *options], 1)
        try:
            assert np.round(side.ask("prepare")["losses"], 5).tolist() == [3.96897, 3.05731, 2.69278]
        finally:
            side.stop()
