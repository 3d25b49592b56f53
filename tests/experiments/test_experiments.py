"""The exact experiments run in full; what is kept of all experiments says what a run says."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import minicnn as mc
from minicnn import experiments
from minicnn.experiments import e05_emulation, e10_inception_bottleneck
from minicnn.experiments.base import NAMED
from minicnn.experiments.results import STORED, read

EXACT = [  # take a few seconds at most
    "receptive-field",
    "stages",
    "where-it-goes",
    "identity",
    "inception-bottleneck",
    "bottleneck",
    "two-gpus",
    "data-parallel",
    "resnext",
    "channel-shuffle",
    "zfnet",
]
TIME = re.compile(r"(ms|seconds)$")


def compared(tables) -> dict:
    """All but times."""
    return {
        name: [{key: value for key, value in row.items() if not TIME.search(key)} for row in rows]
        for name, rows in tables.items()
    }


def assert_alike(ours, kept):
    """Numbers as they come out alike on machines that round otherwise."""
    assert ours.keys() == kept.keys()
    for name in ours:
        assert len(ours[name]) == len(kept[name]), name
        for a, b in zip(ours[name], kept[name]):
            assert a.keys() == b.keys(), name
            for key in a:
                close = isinstance(a[key], float)
                assert a[key] == (pytest.approx(b[key], rel=1e-3, abs=1e-9) if close else b[key]), (name, key, a, b)


def judge(name: str) -> None:
    """Run in full: all lines hold, but for those about times, and the numbers are those that are kept."""
    ours, kept = experiments.run(name, progress=False), experiments.stored(name)
    assert ours.checks and not [check for check in ours.checks if not check.held and not check.timed]
    assert_alike(compared(ours.tables), compared(kept.tables))
    assert (ours.seeds, ours.command, ours.quick) == (kept.seeds, kept.command, kept.quick)


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_experiment_by_the_definitions(name, monkeypatch):
    """In the plain room: whoever has no Numba sees the claims hold, too, and the same numbers (times are none)."""
    monkeypatch.setattr(e10_inception_bottleneck, "milliseconds", lambda call, repeats: (call(), 1.0)[1])
    with mc.use_room("plain"):
        judge(name)


@pytest.mark.compiled
@pytest.mark.parametrize("name", EXACT)
def test_an_exact_experiment_compiled(name):
    """With the kernels that everybody uses."""
    judge(name)


@pytest.mark.compiled
def test_emulation_is_exact_whatever_the_training_came_to():
    """One seed. How the trainings end may differ between machines; that the deep network says the same may not."""
    result = experiments.run("emulation", quick=True, progress=False)
    assert result.quick and result.seeds == (1,) and result.command.endswith("--quick")
    assert all(check.held for check in result.checks if not check.what.startswith("seed")) and len(result.checks) == 4


def test_an_emulating_network_has_the_same_logits(rng):
    """Without any training, in float64, to the last bit; another layer that is not the identity is found out."""
    mc.manual_seed(3)
    with mc.use_room("plain"):
        shallow, deep = e05_emulation.plain(e05_emulation.SHALLOW), e05_emulation.plain(e05_emulation.DEEP)
        e05_emulation.emulate(shallow, deep)
        images = rng.normal(size=(3, 1, 8, 8))
        wanted = e05_emulation.logits(shallow.to("float64"), images)
        assert np.array_equal(e05_emulation.logits(deep.to("float64"), images), wanted)
        e05_emulation.convolutions(deep)[5].weight.data[0, 0, 1, 1] = 1.5
        assert not np.allclose(e05_emulation.logits(deep, images), wanted)


def test_complexity_is_counted_as_it_is_kept():
    """Quick: all but the times, with the same costs and errors."""
    result, kept = experiments.run("complexity", quick=True, progress=False), experiments.stored("complexity")
    assert result.quick and result.held and len(result.checks) < len(kept.checks)
    first = next(iter(kept.tables))
    assert result.tables[first] == kept.tables[first]
    assert len(result.figure().axes) == 1 and len(kept.figure().axes) == 4


@pytest.mark.parametrize("name", experiments.names())
def test_what_is_kept_is_judged_as_it_says(name):
    """The checks in the file follow from its numbers; what is kept is a whole run, and small."""
    path = STORED / f"{name}.json"
    written, kept = json.loads(path.read_text("utf-8")), read(path)
    assert written["checks"] == [vars(check) for check in kept.checks]
    assert written["verdict"] == kept.verdict and written["seconds"] >= 0 and not kept.quick
    assert written["command"] == f"minicnn experiment run {name}" and written["claim"] == kept.experiment.claim
    assert tuple(written["seeds"]) == kept.experiment.seeds and written["versions"].keys() >= {"minicnn", "numpy"}
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("name", [*EXACT, "emulation", "complexity"])
def test_what_is_kept_holds(name):
    """All lines of the exact experiments, times included, on the machine that made them."""
    assert experiments.stored(name).held


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_says_what_it_is(name):
    """Number, name and file agree, nothing that a reader needs is missing, and the kept figure can be drawn."""
    one = experiments.get(name)
    assert one.name == name and experiments.get(one.number) is one and NAMED.search(one.module)
    assert experiments.get(one.number.lower()) is one
    for words in (one.title, one.claim, one.source, one.expected, one.design, one.limits):
        assert len(words) > 5 and "  " not in words
    figure = experiments.stored(name).figure()
    assert figure.axes and all(axes.has_data() for axes in figure.axes)


def altered(name: str, table: int, row: dict, column: str, value) -> list[str]:
    """What no longer holds when one number in one row of what is kept is another."""
    tables = json.loads((STORED / f"{name}.json").read_text("utf-8"))["tables"]
    found = [r for r in list(tables.values())[table] if row.items() <= r.items()]
    assert len(found) == 1 and found[0][column] != value
    found[0][column] = value
    return [check.what for check in experiments.get(name).check(tables) if not check.held]


SAME = "training error of both, %"


@pytest.mark.parametrize("name, table, row, column, value, falls", [
    ("receptive-field", 0, {"layers": "two 3x3"}, "columns seen", 4, "two 3x3: rows seen"),
    ("receptive-field", 0, {"layers": "one 7x7"}, "pixels seen", 48, "one 7x7: rows seen"),
    ("receptive-field", 1, {"layers": "two 3x3", "from": "C/2"}, "weights in C^2", 12.0, "weights in C^2 from C/2"),
    ("receptive-field", 1, {"layers": "two 3x3", "from": "C/2"}, "multiply-adds", 1, "two 3x3 compute less"),
    ("stages", 0, {"layer": "conv3_2"}, "multiply-adds", 1_849_688_063, "interior"),
    ("stages", 0, {"layer": "conv4_1"}, "multiply-adds", 1_849_688_064, "first convolution"),
    ("stages", 0, {"layer": "conv5_3"}, "multiply-adds", 1_849_688_064, "all of stage 5"),
    ("stages", 0, {"layer": "conv1_1"}, "multiply-adds", 86_704_127, "conv1_1"),
    ("where-it-goes", 0, {"network": "alexnet", "layer": "conv1"}, "bytes", 4, "AlexNet, conv1"),
    ("where-it-goes", 0, {"network": "vgg16", "layer": "fc14"}, "parameters", 4, "VGG-16, parameters"),
    ("where-it-goes", 0, {"network": "vgg16", "layer": "fc15"}, "multiply-adds", 10**10, "VGG-16: convolutions' share"),
    ("where-it-goes", 1, {"layer": "conv2"}, "bytes measured", 172_800, "mini: layers whose outputs"),
    ("where-it-goes", 1, {"layer": "fc6"}, "bytes of parameters measured", 1, "mini: layers whose parameters"),
    ("where-it-goes", 1, {"layer": "fc8"}, "bytes", 10**6, "mini AlexNet: early convolutions' share"),
    ("emulation", 0, {"seed": 0}, "logits differ by (float64)", 1e-16, "float64: logits"),
    ("emulation", 0, {"seed": 2}, "logits differ by (float32)", None, "float32"),
    ("emulation", 0, {"seed": 1}, "plain-20 that emulates it", 3.0, SAME),
    ("emulation", 0, {"seed": 1}, "plain-20 from random weights", 0.9, "seed 1: plain-20 from random weights"),
    ("identity", 0, {"blocks": "residual", "set to zero": "last gamma = 0"}, "max |output - input|", 1e-9,
     "residual, last gamma = 0: output"),
    ("identity", 0, {"blocks": "residual, pre-activation"}, "max |dL/dx - upstream|", 1e-9,
     "residual, pre-activation, last convolution = 0: gradient"),
    ("identity", 0, {"blocks": "plain"}, "length of dL/dx / upstream", 0.1, "plain, last gamma = 0"),
    ("identity", 1, {"blocks": "residual", "set to zero": "last convolution = 0"}, "conv1", 1e-9,
     "residual, last convolution = 0: layers"),
    ("inception-bottleneck", 0, {"module": "naive"}, "multiply-adds", 1, "multiply-adds: naive"),
    ("inception-bottleneck", 0, {"module": "naive"}, "forward, batch 8, ms", 1.0, "forward, batch 8: naive"),
    ("inception-bottleneck", 1, {"module": "through 1x1 to 64 maps", "layer": "3x3"}, "multiply-adds", 1, "CS231n's"),
    ("bottleneck", 0, {"block": "bottleneck", "layer": "3x3"}, "in H W C^2", 10.0, "bottleneck, three layers"),
    ("bottleneck", 1, {"network": "ResNet-50"}, "multiply-adds", 5 * 10**9, "ResNet-50: multiply-adds"),
    ("bottleneck", 1, {"layers": 50, "blocks": 24}, "multiply-adds", 4 * 10**9, "50 layers of basic"),
    ("two-gpus", 0, {"numbers": "float64"}, "outputs", 1e-9, "float64, outputs"),
    ("two-gpus", 0, {"numbers": "float32"}, "weights' gradient", None, "float32, weights' gradient"),
    ("two-gpus", 1, {"from pool1 to": "conv2"}, "maps of the other tower seen", 1, "conv2 sees"),
    ("two-gpus", 1, {"from pool1 to": "conv3"}, "maps of the other tower seen", 0, "conv3 sees"),
    ("data-parallel", 0, {"seed": 3, "case": "no batch-norm"}, "relative difference", 1e-6, "no batch-norm"),
    ("data-parallel", 0, {"seed": 3, "case": "batch-norm"}, "relative difference", 1e-6, "batch-norm: relative"),
    ("resnext", 0, {"form": "a"}, "outputs differ by", 1e-6, "form (a) against (c): outputs"),
    ("resnext", 0, {"form": "b"}, "weights", 70_000, "weights of the three forms"),
    ("resnext", 1, {"paths G": 8}, "weights of a block", 80_000, "settings differ"),
    ("channel-shuffle", 0, {"groups g": 3}, "with shuffle: pairs connected", 0.9, "g = 3, C = 24"),
    ("channel-shuffle", 0, {"channels C": 32}, "with shuffle: pairs connected", 1.0, "g = 8, C = 32"),
    ("channel-shuffle", 1, {"width": 0.25}, "min(1, C / g^2)", 1.0, "ShuffleNet v1"),
    ("zfnet", 0, {"network": "ZFNet"}, "multiply-adds", 724_406_816, "multiply-adds"),
    ("zfnet", 0, {"network": "ZFNet"}, "published top-5 error, %", 18.4, "published"),
    ("zfnet", 1, {"network": "ZFNet", "layer": "conv2"}, "multiply-adds", 447_897_600, "without groups"),
    ("zfnet", 1, {"network": "ZFNet 512-1024-512", "layer": "conv1"}, "multiply-adds", 1, "wider layers"),
    ("complexity", 0, {"label": "vgg16"}, "macs", 10**9, "VGG-16: multiply-adds, times AlexNet's"),
    ("complexity", 0, {"label": "resnet50"}, "top1", 30.0, "ResNet-50: top-1"),
    ("complexity", 1, {"network": "resnet18", "side": 224, "algorithm": "im2col"}, "per 10^9 multiply-adds, ms", 1.0,
     "dense nets: dearest"),
])  # fmt: skip
def test_every_verdict_can_fail(name, table, row, column, value, falls):
    """One wrong number among those that are kept, and the line that it concerns does not hold."""
    assert any(what.startswith(falls) for what in altered(name, table, row, column, value))
