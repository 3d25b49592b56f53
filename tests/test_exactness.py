"""Every architecture is exact: all that the reference says of each layer is what the summary finds.

The facts in ``tests/data`` were worked out from the papers, independently of this project.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest

import minicnn as mc
from minicnn import models
from minicnn.kernels import shapes_only

DATA = pathlib.Path(__file__).parent / "data"
FACTS = {
    net: facts
    for file in ("classic", "residual", "light")
    for net, facts in json.loads((DATA / f"{file}.json").read_text()).items()
}
SIZES = {"alexnet_2012_grouped": 227, "alexnet_2012_no_groups": 227, "alexnet_lecture_227": 227}

#: name in the facts, as a pattern -> model, options made of the pattern's groups
NETWORKS = {
    r"alexnet_2012_grouped": lambda: ("alexnet", {}),
    r"alexnet_2012_no_groups": lambda: ("alexnet", {"groups": 1}),
    r"alexnet_(lecture|torchvision)_2\d\d": lambda variant: ("alexnet", {"variant": variant}),
    r"zfnet_a": lambda: ("zfnet", {}),
    r"zfnet_b_512_1024_512": lambda: ("zfnet", {"variant": "512-1024-512"}),
    r"(vgg\d+(?:_bn)?)": lambda name: (name, {}),
    r"vgg16_(C|lecture).*": lambda variant: ("vgg16", {"variant": variant}),
    r"googlenet_original": lambda: ("googlenet", {}),
    r"googlenet_torchvision_bn": lambda: ("googlenet", {"variant": "torchvision"}),
    r"googlenet_bn_true5x5": lambda: ("googlenet", {"variant": "bn"}),
    r"cifar_(plain\d+)": lambda name: (name, {}),
    r"(plain\d+)": lambda name: (name, {}),
    r"(?:cifar_)?((?:preact_)?resnet\d+)": lambda name: (name, {}),
    r"(?:cifar_)?((?:preact_)?resnet\d+)_([ABC])": lambda name, option: (name, {"shortcut": option}),
    r"(resnet\d+)_v1": lambda name: (name, {}),
    r"(resnet\d+)_v1\.5": lambda name: (name, {"variant": "torchvision"}),
    r"resnext50_(\d+)x(\d+)d": lambda c, w: ("resnext50_32x4d", {"cardinality": int(c), "width": int(w)}),
    r"(resnext101_\d+x\d+d)": lambda name: (name, {}),
    r"mobilenet_v1_full_conv": lambda: ("mobilenet_v1", {"full_conv": True}),
    r"(mobilenet_v[12])_(\d\.\d+)": lambda name, width: (name, {"width": float(width)}),
    r"shufflenet_v1_(.*)x_g(\d)": lambda width, g: ("shufflenet_v1", {"width": float(width), "groups": int(g)}),
    r"shufflenet_v2_(.*)x": lambda width: ("shufflenet_v2", {"width": float(width), "variant": "torchvision"}),
    r"shufflenet_v2_(.*)x_megvii_official": lambda width: ("shufflenet_v2", {"width": float(width)}),
    r"efficientnet_lite0": lambda: ("efficientnet_lite0", {}),
}


def network(net: str) -> tuple[str, dict]:
    """The model's name and options for a name in the facts."""
    (found,) = [(make, m.groups()) for pattern, make in NETWORKS.items() if (m := re.fullmatch(pattern, net))]
    return found[0](*found[1])


def table_of(net: str, **options) -> mc.summary.Summary:
    name, of_model = network(net)
    with shapes_only():
        model = models.get_model(name, **of_model)
    size = 32 if net.startswith("cifar") else SIZES.get(net, 224)
    return mc.summary(model, (3, size, size), show=False, **options)


@pytest.mark.parametrize("net", FACTS)
def test_totals(net):
    """Parameters, multiply-adds, bytes of activations with and without pools, the last convolution's field."""
    facts, table, pooled = FACTS[net]["summary"], table_of(net), table_of(net, pools=True)
    assert (table.total_params, table.total_macs) == (facts["params"], facts["macs"])
    assert table.total_memory == facts["mem_bytes_conv_fc"]
    assert pooled.total_memory == facts["mem_bytes_conv_pool_fc"]
    convs = [row for row in table.rows if row.kind == "conv"]
    if net != "efficientnet_lite0":  # whose facts come from another source
        assert pooled.total_macs - table.total_macs == facts["pool_ops"]
        assert len(convs) == facts["n_conv"]
    assert max(row.rf for row in convs) == facts["rf_last_conv"]
    assert max(row.jump for row in convs) == facts["stride_last_conv"]


@pytest.mark.parametrize("net", [net for net in FACTS if FACTS[net].get("layers")])
def test_layers(net):
    """In the order of computation: kind, output shape, parameters, multiply-adds, field, distance, bytes.

    The summary counts a batch-norm that directly follows a convolution with it; of pre-activation networks the facts
    list it apart. GoogLeNet's auxiliary heads, which may run at any time, are compared after the main network. Behind
    adaptive pooling from 14 to 4 pixels the facts keep the field of before, which is wrong: its windows are 4 wide.
    """
    found = [
        (row.name, [row.kind, [*row.output_shape, 1, 1][:3], row.params, row.macs, row.rf, row.jump, row.memory])
        for row in table_of(net, training="summary_with_aux" in FACTS[net]).rows
        if row.kind != "shuffle"
    ]
    wanted = []
    for name, kind, shape, params, macs, rf, jump, memory in FACTS[net]["layers"]:
        if kind == "bn" and wanted[-1][1][0] == "conv":
            wanted[-1][1][2] += params
            continue
        kind = {"adaptive_avgpool": "avgpool"}.get(kind, kind)
        wanted.append((name, [kind, [*shape, 1, 1][:3], params, macs, rf, jump, memory]))
    for rows in (found, wanted):
        rows.sort(key=lambda row: row[0][:4] if row[0].startswith("aux") else "")
        for name, row in rows:
            if name.startswith("aux") and net != "googlenet_original":
                row[4:6] = []
    found, wanted = ([row for _, row in rows] for rows in (found, wanted))
    assert found == wanted


@pytest.mark.parametrize("net", [net for net in FACTS if "summary_with_aux" in FACTS[net]])
def test_auxiliary_heads(net):
    """They run in training only, and ``aux_logits=False`` leaves them out."""
    facts, (name, options) = FACTS[net], network(net)
    table = table_of(net, training=True)
    assert (table.total_params, table.total_macs) == tuple(facts["summary_with_aux"].values())
    with shapes_only():
        both = [models.get_model(name, **options, aux_logits=aux).num_parameters() for aux in (True, False)]
    assert both == [facts["summary_with_aux"]["params"], facts["summary"]["params"]]
