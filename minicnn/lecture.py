"""The lecture's numbers beside ours: EECS 498-007, lecture 8 ("CNN Architectures"), and some of CS231n, lecture 9.

A claim is what the lecture prints and a function that works the same out from the rows of a summary. Whether the two
agree is not written down but found by comparing, to as many digits as the lecture prints.
"""

from __future__ import annotations

import textwrap

from . import columns, nn
from .lecture_check import (
    CONV,
    CONV_POOL_FC,
    KB,
    MB,
    Claim,
    Finding,
    Tables,
    block,
    down_to_28,
    last_of_stages,
    macs,
    memory,
    params,
    per_pixel,
)
from .models.published import FIGURES
from .summary import summary

LAYERS = (  # AlexNet's table: memory in KB, parameters in thousands, multiply-adds in millions
    ("conv1", "784", "23", "73"), ("pool1", "182", "0", "0"), ("conv2", "547", "307", "224"),
    ("pool2", "127", "0", "0"), ("conv3", "254", "664", "112"), ("conv4", "169", "885", "145"),
    ("conv5", "169", "590", "100"), ("pool5", "36", "0", "0"), ("flatten", "36", "0", "0"),
    ("fc6", "16", "37,749", "38"), ("fc7", "16", "16,777", "17"), ("fc8", "4", "4,096", "4"),
)  # fmt: skip
COUNTED = {
    "conv4": "145 is quoted from memory: the slide was not at hand",
    "fc6": "parameters without biases (of convolutions biases do not show)", "fc7": "without biases",
    "fc8": "without biases",
}  # fmt: skip


def layer_claims() -> list[Claim]:
    """One claim for each line of AlexNet's table."""
    return [
        Claim(
            name, f"{kb} KB, {k} k, {m} M", lambda t, i=i: layer(t, i), COUNTED.get(name, ""),
            as_usual=not name.startswith("fc"),
        )
        for i, (name, kb, k, m) in enumerate(LAYERS)
    ]  # fmt: skip


def layer(tables: Tables, number: int) -> tuple[float, float, float]:
    row = alexnet(tables)[number]
    own = params([row], biases=row.kind != "fc")
    return row.memory / KB, own / 1e3, macs([row], pools=True) / 1e6


# The networks meant ---------------------------------------------------------------------------------------------------
def alexnet(t: Tables):
    return t("alexnet", "lecture").rows


def lecture_vgg(t: Tables):
    """What the lecture calls VGG-16: two convolutions in stage 3, 15 layers in all."""
    return t("vgg16", "lecture").rows


def totals(rows, kinds=("conv", "fc")) -> tuple[float, float, float]:
    """MB, millions, thousand millions."""
    return memory(rows, kinds) / MB, params(rows) / 1e6, macs(rows) / 1e9


def ratios(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(x / y for x, y in zip(a, b, strict=True))


def googlenet_stem(t: Tables) -> tuple[float, float, float]:
    """MB with pools, thousands, millions with pools."""
    rows = down_to_28(t("googlenet"))
    return memory(rows, CONV_POOL_FC) / MB, params(rows) / 1e3, macs(rows, pools=True) / 1e6


def vgg_stem(t: Tables, variant: str) -> tuple[float, float, float]:
    """MB of convolutions, millions, millions."""
    rows = down_to_28(t("vgg16", variant))
    return memory(rows, CONV) / MB, params(rows) / 1e6, macs(rows) / 1e6


def stem_ratios(t: Tables, variant: str) -> tuple[float, float, float]:
    mb, millions, flop = vgg_stem(t, variant)
    return ratios((mb, 1000 * millions, flop), googlenet_stem(t))


def ratio_of_stages(t: Tables) -> tuple[float, ...]:
    """Multiply-adds of the last convolution of VGG-16's stages, in units of the first stage's."""
    costs = last_of_stages(t("vgg16"))
    return tuple(cost / costs[0] for cost in costs)


def gflop(t: Tables, *names: str, variant: str = "paper", **options) -> list[float]:
    return [macs(t(name, variant, **options).rows) / 1e9 for name in names]


def torchvision_top5(*names: str) -> list[float]:
    found = {f.model: f.top5 for f in FIGURES if f.source == "torchvision"}
    return [found[name] for name in names]


def image_and_outputs(t: Tables) -> float:
    """Bytes of the image and all outputs of VGG-16."""
    return 4 * 3 * 224 * 224 + memory(t("vgg16").rows, CONV_POOL_FC)


def weights_of_block(t: Tables, cardinality: int, width: int) -> float:
    return per_pixel(block(t("resnext50_32x4d", cardinality=cardinality, width=width), "layer1.1"))


def kernels(in_channels: int, channels: int = 64) -> tuple[float, float]:
    """Weights of two 3x3 convolutions and of one 5x5, in units of C^2."""
    pair = nn.Sequential(conv(in_channels, channels, 3), conv(channels, channels, 3))
    return tuple(
        summary(model, (in_channels, 8, 8), show=False).total_params / channels**2
        for model in (pair, conv(in_channels, channels, 5))
    )


def conv(in_channels: int, out_channels: int, kernel: int) -> nn.Module:
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)


def shares(t: Tables) -> dict[str, float]:
    """Where AlexNet's memory, parameters and operations are, in per cent."""
    rows = alexnet(t)
    first = [r for r in rows if r.kind == "conv"][:2]
    return {
        "memory": 100 * memory(first) / memory(rows),
        "params": 100 * params(r for r in rows if r.kind == "fc") / params(rows),
        "macs": 100 * macs(r for r in rows if r.kind == "conv") / macs(rows),
    }


VGG15 = "15 layers"
TRUE = "VGG-16 as in its paper"
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
CLAIMS: dict[str, list[Claim]] = {
    "AlexNet, one tower, 227 pixels: the table (alexnet --variant lecture)": layer_claims(),
    "AlexNet: totals and trends": [
        Claim("memory, parameters", "1.9 MB, 61 M", lambda t: totals(alexnet(t))[:2],
              "outputs of convolutions and linear layers, no pools; MB = 2^20 bytes"),
        Claim("multiply-adds", "0.7 G", lambda t: totals(alexnet(t))[2:], "no pools"),
        Claim("multiply-adds", "724 M", lambda t: [macs(t("alexnet").rows) / 1e6],
              "the two towers of the paper (alexnet), not the tower of the table", as_usual=False),
        Claim("memory", "3.1 MB", lambda t: [memory(t("alexnet").rows, CONV_POOL_FC) / 1e6],
              "the two towers; pools too; MB = 10^6 bytes", as_usual=False),
        Claim("early convolutions have", "most of the memory", lambda t: [shares(t)["memory"]], "conv1 and conv2",
              template="{:.1f} %", verdict="holds"),
        Claim("linear layers have", "nearly all parameters", lambda t: [shares(t)["params"]],
              template="{:.1f} %", verdict="holds"),
        Claim("convolutions have", "most multiply-adds", lambda t: [shares(t)["macs"]],
              template="{:.1f} %", verdict="holds"),
    ],
    "VGG-16 (15 layers: as the lecture lists it, two convolutions in stage 3, vgg16 --variant lecture)": [
        Claim("memory", "48.6 MB", lambda t: totals(lecture_vgg(t), CONV)[:1], f"{VGG15}; convolutions only",
              as_usual=False),
        Claim("parameters, multiply-adds", "138 M, 13.6 G", lambda t: totals(lecture_vgg(t))[1:], VGG15,
              as_usual=False),
        Claim("all three", "48.6 MB, 138 M, 13.6 G", lambda t: totals(t("vgg16").rows), TRUE),
        Claim("times AlexNet", "25 x, 2.3 x", lambda t: ratios(totals(lecture_vgg(t)), totals(alexnet(t)))[:2],
              f"{VGG15}; both with linear layers", as_usual=False),
        Claim("times AlexNet", "19.4 x", lambda t: ratios(totals(lecture_vgg(t)), totals(alexnet(t)))[2:],
              "19.4 = 13.6 / 0.7, quotient of rounded numbers"),
        Claim("times AlexNet", "25 x, 2.3 x, 19.4 x", lambda t: ratios(totals(t("vgg16").rows), totals(alexnet(t))),
              TRUE),
        Claim("two 3x3 against one 5x5, C maps", "18 C^2, 25 C^2", lambda t: kernels(64)),
        Claim("the same where C/2 maps become C", "fewer parameters", lambda t: kernels(32), "first layers of stages",
              template="{:.1f} C^2, {:.1f} C^2", verdict="erratum"),
        Claim("last convolution of stages 1 to 4", "equally many", lambda t: ratio_of_stages(t)[:4],
              template="{:.2f} : {:.2f} : {:.2f} : {:.2f}", verdict="holds"),
        Claim("and of stage 5", "equally many", lambda t: ratio_of_stages(t)[4:],
              "channels do not double there: 512 to 512", template="{:.2f}", verdict="erratum"),
        Claim("CS231n: memory", "96 MB", lambda t: [image_and_outputs(t) / MB],
              "image, convolutions, pools, linear layers: the slide's own entries add up to this"),
    ],
    "GoogLeNet (15 layers: of what the lecture calls VGG-16)": [
        Claim("stem, 224 to 28 pixels", "7.5 MB, 124 k", lambda t: googlenet_stem(t)[:2],
              "with pools; parameters with biases", as_usual=False),
        Claim("stem, multiply-adds", "418 M", lambda t: googlenet_stem(t)[2:],
              "with pools (477.7 without); 418 has its digits swapped", as_usual=False),
        Claim("VGG-16 down to 28 pixels", "42.9 MB, 1.1 M, 7485 M", lambda t: vgg_stem(t, "lecture"),
              f"{VGG15}; without pools, which GoogLeNet's figure includes", as_usual=False),
        Claim("VGG-16 down to 28 pixels", "42.9 MB, 1.1 M, 7485 M", lambda t: vgg_stem(t, "paper"), TRUE),
        Claim("times GoogLeNet: memory", "5.7 x", lambda t: stem_ratios(t, "lecture")[:1], VGG15, as_usual=False),
        Claim("times GoogLeNet: the others", "8.9 x, 17.8 x", lambda t: stem_ratios(t, "lecture")[1:],
              f"{VGG15}; 8.9 = 1.1 M / 124 k, rounded before; 7485 / 418 = 17.9"),
        Claim("times GoogLeNet", "5.7 x, 8.9 x, 17.8 x", lambda t: stem_ratios(t, "paper"), TRUE),
        Claim("CS231n: inception module, naive", "854 M", lambda t: [t.inceptions[0].total_macs / 1e6],
              "256 maps of 28x28; 128 by 1x1, 192 by 3x3, 96 by 5x5"),
        Claim("CS231n: after 1x1 to 64 maps", "358 M", lambda t: [t.inceptions[1].total_macs / 1e6],
              "358.1 counts the 3x3 convolution twice: the saving is 3.1 x"),
    ],
    "ResNet": [
        Claim("18 layers", "1.8 G", lambda t: gflop(t, "resnet18"), "options A and B alike"),
        Claim("34 layers", "3.6 G", lambda t: gflop(t, "resnet34", shortcut="A"),
              "option A for shortcuts (option B: 3.66)", as_usual=False),
        Claim("50 layers", "3.8 G", lambda t: gflop(t, "resnet50"), "stride in the 1x1 convolution, as in the paper"),
        Claim("101 and 152 layers", "7.6 G, 11.3 G", lambda t: gflop(t, "resnet101", "resnet152"),
              "stride in the 1x1 convolution"),
        Claim("50, 101, 152 layers", "3.8 G, 7.6 G, 11.3 G", lambda t: gflop(t, *RESNETS[2:], variant="torchvision"),
              "stride in the 3x3 (torchvision), the networks whose errors follow"),
        Claim("top-5 errors, 18 to 152 layers", "10.92, 8.58, 7.13, 6.44, 5.94 %", lambda t: torchvision_top5(*RESNETS),
              "published with torchvision's weights, one crop; not the paper's", tolerance=0.003),
        Claim("top-5 error, VGG-16", "9.62 %", lambda t: torchvision_top5("vgg16"),
              "published with torchvision's weights, one crop"),
        Claim("basic block, C maps", "18 HWC^2", lambda t: [per_pixel(block(t("resnet34"), "layer1.1"), 64)]),
        Claim("bottleneck block, 4C maps", "17 HWC^2", lambda t: [per_pixel(block(t("resnet50"), "layer1.1"), 64)]),
    ],
    "ResNeXt, one block, weights, C = 64": [
        Claim("G = 1: 17 C^2", "69,632", lambda t: [weights_of_block(t, 1, 64)]),
        Claim("G = 4, c = 24: as many", "69,632", lambda t: [weights_of_block(t, 4, 24)],
              "(8 C c + 9 c^2) G; c is rounded to a whole number", tolerance=0.01),
        Claim("G = 32, c = 4: as many", "69,632", lambda t: [weights_of_block(t, 32, 4)],
              "(8 C c + 9 c^2) G; c is rounded to a whole number", tolerance=0.01),
    ],
}  # fmt: skip

ERRATA = (
    "VGG-16 has three convolutions in stage 3 and VGG-19 four, as in stages 4 and 5 (VGG, table 1). The lecture lists "
    "two, and its totals are those of that network of 15 layers. Their 7485 M down to 28 pixels happen to be all "
    "convolutions of VGG-11 too.",
    "The stem of GoogLeNet: 481 million multiply-adds, not 418.",
    "AlexNet, conv4: 149.5 million multiply-adds, not 145.",
    "ILSVRC 2013 was won by Clarifai with 11.7 % top-5 error; ZFNet's paper reports 14.8 % at best, for six networks "
    "(ZFNet, table 2; GoogLeNet, table 2).",
    "ILSVRC 2014 (classification) was won by GoogLeNet, 6.67 %; VGG was second, 7.3 %.",
    '"After pool, double the channels" does not hold for the last stage of VGG, 512 to 512: its convolutions cost a '
    "quarter. The first convolution of a stage, C/2 to C, costs half.",
    '"Two 3x3 have fewer parameters than one 5x5" holds for C to C maps, not where the first layer doubles them.',
    "One table mixes operations of the paper's ResNets with errors of torchvision's, which are other networks: 4.1, "
    "7.8, 11.5 G instead of 3.8, 7.6, 11.3. And VGG-16 with 15.3 G is without linear layers, VGG-19 with 19.6 G with "
    "them (so in He et al. 2015).",
    "CS231n: the inception module with 1x1 convolutions has 271 million multiply-adds, not 358; VGG-16 takes 58 MB for "
    "one image in evaluation, not 96.",
)


# The table ------------------------------------------------------------------------------------------------------------
HEAD = ("claim", "lecture", "computed", "verdict", "what was counted")


def lecture() -> dict[str, list[Finding]]:
    """Check all claims; by subject."""
    tables = Tables()
    return {subject: [claim.check(tables) for claim in claims] for subject, claims in CLAIMS.items()}


def to_text(findings: dict[str, list[Finding]], markdown: bool = False) -> str:
    """All claims as tables, and the errata."""
    lines = []
    for subject, found in findings.items():
        cells = [(f.claim.what, f.claim.printed, f.computed, f.verdict, f.claim.counted) for f in found]
        if markdown:
            lines += [f"**{subject}**", "", *columns.markdown(HEAD, cells), ""]
        else:
            lines += [subject, *columns.text(HEAD, cells), ""]
    lines += ["**Errata**" if markdown else "Errata", ""]
    for erratum in ERRATA:
        lines += (
            [f"- {erratum}"] if markdown else textwrap.wrap(erratum, 118, initial_indent="- ", subsequent_indent="  ")
        )
    lines += ["", *textwrap.wrap(CONVENTIONS, 118)]
    return "\n".join(lines)


CONVENTIONS = (
    "A multiply-add counts as one. KB = 1024 bytes, MB = 1024 KB, 4 bytes a number, one image, unless said otherwise. "
    "Verdicts: exact - agrees to the digits printed; under this convention - agrees if counted as the last column says "
    "but not as `minicnn table` counts the network that is meant; cut off - as if 3.858 were printed as 3.8; erratum - "
    "does not agree."
)
