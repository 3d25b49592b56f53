"""The lecture's numbers: every computed figure equals one written by hand, and every verdict is the right one."""

from __future__ import annotations

import pytest

from minicnn import cli, lecture
from minicnn.lecture_check import Claim, Tables

CONVENTION = "exact under this convention"
K, M = 1e3, 1e6
EXPECTED = [  # claim, numbers, verdict
    # AlexNet's table: bytes / 1024; parameters; output elements x what each sums over (pools: x 9)
    ("conv1", (802_816 / 1024, 23_296 / K, 72_855_552 / M), "exact"),
    ("pool1", (186_624 / 1024, 0, 419_904 / M), "exact"),
    ("conv2", (559_872 / 1024, 307_392 / K, 223_948_800 / M), "exact"),
    ("pool2", (129_792 / 1024, 0, 292_032 / M), "exact"),
    ("conv3", (259_584 / 1024, 663_936 / K, 112_140_288 / M), "exact"),
    ("conv4", (173_056 / 1024, 884_992 / K, 149_520_384 / M), "erratum"),
    ("conv5", (173_056 / 1024, 590_080 / K, 99_680_256 / M), "exact"),
    ("pool5", (36, 0, 82_944 / M), "exact"),
    ("flatten", (36, 0, 0), "exact"),
    ("fc6", (16, 37_748_736 / K, 37_748_736 / M), CONVENTION),
    ("fc7", (16, 16_777_216 / K, 16_777_216 / M), CONVENTION),
    ("fc8", (4000 / 1024, 4_096_000 / K, 4_096_000 / M), CONVENTION),
    ("memory, parameters", (2_005_152 / 2**20, 61.100840), "exact"),
    ("multiply-adds", (0.716767232,), "exact"),
    ("multiply-adds", (724.406816,), CONVENTION),
    ("memory", (3.126944,), CONVENTION),
    ("early convolutions have", (100 * (802_816 + 559_872) / 2_005_152,), "holds"),
    ("linear layers have", (100 * 58_631_144 / 61_100_840,), "holds"),
    ("convolutions have", (100 * 658_145_280 / 716_767_232,), "holds"),
    # VGG-16
    ("memory", (50_978_816 / 2**20,), CONVENTION),
    ("parameters, multiply-adds", (137.767464, 13.620576256), CONVENTION),
    ("all three", (54_226_848 / 2**20, 138.357544, 15.470264320), "erratum"),
    ("times AlexNet", (51_015_584 / 2_005_152, 137_767_464 / 61_100_840), CONVENTION),
    ("times AlexNet", (13_620_576_256 / 716_767_232,), "erratum"),
    ("times AlexNet", (54_226_848 / 2_005_152, 138_357_544 / 61_100_840, 15_470_264_320 / 716_767_232), "erratum"),
    ("two 3x3 against one 5x5, C maps", (18, 25), "exact"),
    ("the same where C/2 maps become C", (13.5, 12.5), "erratum"),
    ("last convolution of stages 1 to 4", (1, 1, 1, 1), "holds"),
    ("and of stage 5", (462_422_016 / 1_849_688_064,), "erratum"),
    ("CS231n: memory", (60_950_432 / 2**20,), "erratum"),
    # GoogLeNet
    ("stem, 224 to 28 pixels", (7644 / 1024, 124.416), CONVENTION),
    ("stem, multiply-adds", (480.836608,), "erratum"),
    ("VGG-16 down to 28 pixels", (42.875, 1.145408, 7485.456384), CONVENTION),
    ("VGG-16 down to 28 pixels", (45.9375, 1.735488, 9335.144448), "erratum"),
    ("times GoogLeNet: memory", (42.875 * 1024 / 7644,), CONVENTION),
    ("times GoogLeNet: the others", (1_145_408 / 124_416, 7485.456384 / 480.836608), "erratum"),
    ("times GoogLeNet", (45.9375 * 1024 / 7644, 1_735_488 / 124_416, 9335.144448 / 480.836608), "erratum"),
    ("CS231n: inception module, naive", (854.196224,), "exact"),
    ("CS231n: after 1x1 to 64 maps", (271.351808,), "erratum"),
    # ResNet
    ("18 layers", (1.814073344,), "exact"),
    ("34 layers", (3.644493824,), CONVENTION),
    ("50 layers", (3.857973248,), "cut off, not rounded"),
    ("101 and 152 layers", (7.570194432, 11.282415616), "exact"),
    ("50, 101, 152 layers", (4.089184256, 7.801405440, 11.513626624), "erratum"),
    ("top-5 errors, 18 to 152 layers", (10.922, 8.58, 7.138, 6.454, 5.954), "within 0.3 %"),
    ("top-5 error, VGG-16", (9.618,), "exact"),
    ("basic block, C maps", (18,), "exact"),
    ("bottleneck block, 4C maps", (17,), "exact"),
    # ResNeXt: (8 C c + 9 c^2) G with C = 64
    ("G = 1: 17 C^2", (69_632,), "exact"),
    ("G = 4, c = 24: as many", (69_888,), "within 0.4 %"),
    ("G = 32, c = 4: as many", (70_144,), "within 0.8 %"),
]


@pytest.fixture(scope="module")
def findings():
    return lecture.lecture()


def test_every_figure_and_verdict(findings):
    found = [f for part in findings.values() for f in part]
    assert [f.claim.what for f in found] == [what for what, _, _ in EXPECTED]
    for finding, (what, values, verdict) in zip(found, EXPECTED, strict=True):
        assert finding.values == pytest.approx(values, rel=1e-12), what
        assert finding.verdict == verdict, what


def test_figures_known_to_the_last_digit_are_exact():
    tables = Tables()
    assert lecture.macs(tables("alexnet", "lecture").rows) == 716_767_232
    assert lecture.macs(tables("alexnet").rows) == 724_406_816
    assert lecture.macs(tables("vgg16", "lecture").rows) == 13_620_576_256
    assert lecture.macs(tables("vgg16").rows) == 15_470_264_320
    assert lecture.macs(lecture.down_to_28(tables("googlenet")), pools=False) == 477_675_520
    assert lecture.macs(lecture.down_to_28(tables("googlenet")), pools=True) == 480_836_608
    assert lecture.macs(lecture.down_to_28(tables("vgg16", "lecture"))) == 7_485_456_384
    assert lecture.image_and_outputs(tables) == 60_950_432
    assert [t.total_macs for t in tables.inceptions] == [854_196_224, 271_351_808]
    assert lecture.last_of_stages(tables("vgg16")) == 4 * [1_849_688_064] + [462_422_016]


def test_the_false_358_counts_the_3x3_convolution_twice():
    """What the claim's note says of CS231n's figure."""
    reduced = Tables().inceptions[1]
    (three,) = [r.macs for r in reduced.rows if r.kernel == 3 and r.kind == "conv"]
    assert reduced.total_macs + three == 358_055_936


def test_the_lectures_stem_costs_what_all_of_vgg11s_convolutions_cost():
    """A coincidence that the errata mention."""
    rows = [r for r in Tables()("vgg11").rows if r.kind == "conv"]
    assert lecture.macs(rows) == 7_485_456_384


@pytest.mark.parametrize("printed, value, verdict", [
    ("3.8 G", 3.849, "exact"), ("3.8 G", 3.858, "cut off, not rounded"), ("3.8 G", 3.751, "exact"),
    ("3.8 G", 3.7, "erratum"), ("3.8 G", 3.9, "erratum"), ("0 k", 0.49, "exact"), ("0 k", 1.2, "erratum"),
    ("37,749 k", 37_748.736, "exact"), ("37,749 k", 37_752.8, "erratum"), ("18 HWC^2", 18.0, "exact"),
])  # fmt: skip
def test_verdicts(printed, value, verdict):
    """As many digits as the lecture prints; exponents and names are no numbers."""
    claim = Claim("", printed, lambda tables: [value])
    assert claim.check(None).verdict == verdict
    unusual = Claim("", printed, lambda tables: [value], as_usual=False).check(None).verdict
    assert unusual == (verdict if verdict == "erratum" else f"{verdict} under this convention")


def test_numbers_are_shown_with_one_more_digit():
    claim = Claim("", "1.9 MB, 37,749 k, 73 M, C^2", lambda tables: (1.9123, 37_748.736, 72.86))
    assert claim.check(None).computed == "1.91 MB, 37,749 k, 72.9 M, C^2"
    with pytest.raises(ValueError, match="argument"):  # a claim must compute as many numbers as are printed
        Claim("", "1.9 MB, 61 M", lambda tables: (1.9, 61.0, 7.0)).check(None)


def test_text_and_markdown_hold_the_same(findings, capsys):
    text, markdown = lecture.to_text(findings), lecture.to_text(findings, markdown=True)
    flat = " ".join(text.split())
    for part in findings.values():
        for finding in part:
            cells = (
                finding.claim.what,
                finding.claim.printed,
                finding.computed,
                finding.verdict,
                finding.claim.counted,
            )
            assert f"| {' | '.join(cells)} |" in markdown
            assert " ".join(" ".join(cells).split()) in flat
    for erratum in lecture.ERRATA:
        assert erratum in markdown and erratum in flat
    for options, wanted in ((["lecture"], text), (["lecture", "--markdown"], markdown)):
        cli.main(options)
        assert capsys.readouterr().out == wanted + "\n"
