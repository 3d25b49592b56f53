"""Published weights: found, fetched, recognised, fitted; and what must not be mixed up is not."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import re
import threading

import numpy as np
import pytest
import torch_writer as w
from mistakes import complaint

import minicnn as mc
from minicnn import models, nn
from minicnn.models import pretrained
from minicnn.models.pretrained import PUBLISHED, Preprocessing, Published
from minicnn.old_names import modernise

F, A = mc.FileError, mc.ArgumentError


class Tiny(nn.Module):
    """Its variants differ in what they compute, not in their names and shapes, like ResNet-50's."""

    def __init__(self, num_classes, variant="paper", width=1.0, transform_input=False):
        super().__init__()
        self.variant, self.transform_input = variant, transform_input
        self.conv, self.bn = nn.Conv2d(3, int(4 * width), 1), nn.BatchNorm2d(int(4 * width))
        self.fc = nn.Linear(int(4 * width), num_classes)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).mean((2, 3)))


def torch_file(state: dict[str, np.ndarray]) -> bytes:
    description = w.ordered({name: w.whole(name, np.asarray(a, order="C")) for name, a in state.items()})
    return w.zip_bytes(description, {name: a.tobytes() for name, a in state.items()})


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A model "tiny" with 10 classes, its published file's content, and its entry; own cache, no network."""
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(models.registry, "_MODELS", dict(models.registry._MODELS))
    models.register_model("tiny", 10, ("paper", "torchvision", "both"))(Tiny)
    content = torch_file(Tiny(10).state_dict())
    digits = hashlib.sha256(content).hexdigest()[:8]
    entry = Published(f"tiny-{digits}.pth", "tiny", ("torchvision", "both"), 1.0, {"transform_input": True})
    monkeypatch.setattr(pretrained, "PUBLISHED", (entry, *PUBLISHED))
    return content, entry


def in_cache(tmp_path, tiny):
    """Put the published file where it is looked for."""
    path = tmp_path / "data/weights" / tiny[1].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tiny[0])
    return path


# The list -------------------------------------------------------------------------------------------------------------
def test_the_list_is_consistent():
    """Every file is of a model that exists, with these variants, options and images; nothing is listed twice."""
    for p in PUBLISHED:
        entry = models.registry._MODELS[p.model]
        assert set(p.variants) <= set(entry.variants) and p.num_classes == entry.num_classes == 1000
        assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{10}", p.digits) and p.file.endswith(f"-{p.digits}.pth")
        assert p.preprocessing.crop == models.input_size(p.model)[1] == 224
    assert len({p.file for p in PUBLISHED}) == len({p.digits for p in PUBLISHED}) == len(PUBLISHED) == 23
    assert {p.model for p in PUBLISHED if not p.url} == {"efficientnet_lite0"}


def outputs(name: str, variant: str, state: dict | None, size: int, **options):
    model = models.get_model(name, 7, variant, **options).eval()
    if state is not None:
        model.load_state_dict(state)
    return model.state_dict(), model(np.random.default_rng(0).standard_normal((1, 3, size, size)).astype("f")).data


@pytest.mark.parametrize(
    "name, size, options",
    [
        ("resnet18", 64, {}), ("resnext50_32x4d", 64, {}), ("resnet50", 64, {}), ("mobilenet_v2", 64, {"width": 0.2}),
        ("vgg11", 224, {"width": 0.05}), ("vgg13_bn", 224, {"width": 0.05}),
    ],
)  # fmt: skip
def test_which_variants_are_the_same_network(name, size, options):
    """A published file may be used with "paper" exactly where paper and torchvision compute the same."""
    state, torchvision = outputs(name, "torchvision", None, size, **options)
    _, paper = outputs(name, "paper", state, size, **options)
    (published,) = [p for p in PUBLISHED if p.model == name]
    assert np.allclose(paper, torchvision, rtol=1e-4, atol=1e-6) == ("paper" in published.variants)


def test_preprocessing():
    """256 by the shorter side, the middle 224, standardised: grey becomes (0.5 - mean) / std."""
    x = Preprocessing().transform()(np.full((3, 300, 400), 0.5, np.float32))
    assert x.shape == (3, 224, 224)
    np.testing.assert_allclose(x[:, 7, 9], (0.5 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)
    lite = next(p for p in PUBLISHED if p.model == "efficientnet_lite0").preprocessing.transform()
    np.testing.assert_allclose(lite(np.full((3, 256, 256), 100 / 255, np.float32))[0, 0, 0], -27 / 128, rtol=1e-5)
    assert "bicubic" in str(lite.transforms[0].interpolation)


# Fetching -------------------------------------------------------------------------------------------------------------
def test_fetched_once_and_checked(tmp_path, monkeypatch, tiny):
    content, entry = tiny
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = content if self.path.startswith("/good/") else content[:-1] + b"x"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("MINICNN_OFFLINE", "0")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for place in ("other", "good"):
            url = f"http://127.0.0.1:{server.server_port}/{place}/"
            monkeypatch.setattr(pretrained, "PUBLISHED", (dataclasses.replace(entry, url=url),))
            if place == "other":
                says = (entry.file, "not the published file", f"published is {entry.digits}", "by hand from", "weights")
                complaint(lambda: models.get_model("tiny", weights="torchvision"), F, says)
        model = models.get_model("tiny", weights="torchvision")
        models.get_model("tiny", weights="torchvision", variant="both")
        server.shutdown()
    assert asked == [f"/other/{entry.file}", f"/good/{entry.file}"]
    assert model.variant == "torchvision" and model.transform_input
    assert model.loaded_weights.path == tmp_path / "data/weights" / entry.file
    assert model.loaded_weights.published.file == entry.file
    np.testing.assert_array_equal(model.fc.weight.data, mc.load(model.loaded_weights.path)["fc.weight"])


@pytest.mark.parametrize("name", ["tiny", "resnet18", "googlenet"])
def test_offline_says_where_the_file_goes(tmp_path, tiny, name):
    says = ("MINICNN_OFFLINE", f"by hand from {pretrained.URL}", f"put it into {tmp_path / 'data/weights'}")
    complaint(lambda: models.get_model(name, weights="torchvision"), F, says)


def published(name: str, **options) -> nn.Module:
    return models.get_model(name, weights="torchvision", **options)


MISTAKES = {
    "none published": (lambda: published("preact_resnet18"), A, "did you mean resnet18"),
    "none at all": (lambda: published("efficientnet_lite0"), A, "torchvision has no weights of efficientnet_lite0"),
    "width": (lambda: published("mobilenet_v2", width=0.5), A, "with width=1.0, not with 0.5"),
    "other width": (lambda: published("shufflenet_v2", width=3), A, "width=0.5, 1.0, 1.5, 2.0, not with 3"),
    "variant": (lambda: published("resnet50", variant="paper"), A, "resnet50-0676ba61.pth holds weights of resnet50's"),
    "a folder": (lambda: models.get_model("resnet18", weights="."), F, "is a folder"),
    "a name": (lambda: models.get_model("resnet18", weights="imagenet"), F, "there is no file imagenet"),
    "a number": (lambda: models.get_model("resnet18", weights=3), A, "path, or 'torchvision'"),
    "True": (lambda: models.get_model("resnet18", weights=True), A, "got bool"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what, tiny):
    call, error, says = MISTAKES[what]
    complaint(call, error, (says,))


# Recognising ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [None, "renamed.pth", "renamed.pt"])
def test_a_published_file_is_known_anywhere(tmp_path, tiny, name):
    """By its name or its content: variant and options are the weights' own, another variant is an error."""
    path = tmp_path / (name or tiny[1].file)
    path.write_bytes(tiny[0])
    model = models.get_model("tiny", weights=path)
    assert (model.variant, model.transform_input) == ("torchvision", True)
    assert model.loaded_weights == (path, tiny[1], tiny[1].preprocessing, [], [])
    assert models.get_model("tiny", weights=str(path), variant="both", transform_input=False).transform_input is False
    says = (str(path), "tiny's variant torchvision or both", "variant='paper'", "leave variant out")
    complaint(lambda: models.get_model("tiny", weights=path, variant="paper"), A, says)
    complaint(lambda: models.get_model("tiny", weights=path, width=0.5), A, (str(path), "width=1.0, not 0.5"))
    complaint(lambda: models.get_model("resnet18", weights=path), F, (str(path), "published file of tiny", "not fit"))


def test_a_name_that_its_content_belies(tmp_path, tiny):
    path = tmp_path / tiny[1].file
    path.write_bytes(torch_file(Tiny(10).state_dict()))
    says = (str(path), f"begins with {tiny[1].digits}, but it begins with", "another name")
    complaint(lambda: models.get_model("tiny", weights=path), F, says)


def test_unknown_files_are_of_the_papers_variant(tmp_path, tiny):
    (tmp_path / "own.pth").write_bytes(torch_file(Tiny(10).state_dict()))
    model = models.get_model("tiny", weights=tmp_path / "own.pth")
    assert model.variant == "paper" and model.loaded_weights.published is None
    assert models.get_model("tiny", weights=tmp_path / "own.pth", variant="torchvision").variant == "torchvision"


# Other classes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["torchvision", "safetensors", "npz", "without head"])
def test_a_new_head(tmp_path, tiny, kind):
    """num_classes other than the file's: the head starts anew, all else is loaded, and it says which names."""
    state = mc.load(in_cache(tmp_path, tiny))
    path = tmp_path / f"w.{kind}" if kind in ("safetensors", "npz") else tmp_path / "w.npz"
    head = ["fc.weight", "fc.bias"]
    mc.save({k: a for k, a in state.items() if kind != "without head" or k not in head}, path)
    weights = kind if kind == "torchvision" else path
    model = models.get_model("tiny", 3, weights=weights)
    assert model.loaded_weights.left_out == ([] if kind == "without head" else head)
    assert model.loaded_weights.fresh == head and model.fc.weight.shape == (3, 4)
    np.testing.assert_array_equal(model.conv.weight.data, state["conv.weight"])
    same = models.get_model("tiny", 10, weights=weights)
    assert same.loaded_weights.fresh == (head if kind == "without head" else [])
    assert np.array_equal(same.fc.weight.data, state["fc.weight"]) == (kind != "without head")


def test_a_head_is_new_only_if_asked_for_and_if_all_else_fits(tmp_path, tiny):
    state = mc.load(in_cache(tmp_path, tiny))
    mc.save({k: a for k, a in state.items() if not k.startswith("fc")}, tmp_path / "w.npz")
    says = (str(tmp_path / "w.npz"), "missing: fc.weight, fc.bias", "give num_classes to begin with a new head")
    complaint(lambda: models.get_model("tiny", weights=tmp_path / "w.npz"), F, says)
    mc.save({**state, "conv.bias": np.zeros(5), "x": np.zeros(1), "fc.bias": np.zeros(3)}, tmp_path / "v.npz")
    for classes in (None, 10):
        says = ("unexpected: x", "conv.bias: the model has (4,), the file (5,)")
        error = complaint(lambda c=classes: models.get_model("tiny", c, weights=tmp_path / "v.npz"), F, says)
        assert ("fc.bias" in str(error)) == (classes is None) and "new head" not in str(error)


def test_googlenet_without_auxiliary_heads(tmp_path):
    """The published file holds them; a model without them leaves them out, and three heads are new for new classes."""
    small = {"variant": "torchvision", "width": 0.05}
    full = models.get_model("googlenet", 10, **small)
    mc.save(full, tmp_path / "w.npz")
    model = models.get_model("googlenet", 10, aux_logits=False, weights=tmp_path / "w.npz", **small)
    assert model.loaded_weights.left_out == [k for k in full.state_dict() if k.startswith("aux")]
    heads = [f"{layer}.{leaf}" for layer in ("aux1.fc2", "aux2.fc2", "fc") for leaf in ("bias", "weight")]
    model = models.get_model("googlenet", 5, weights=tmp_path / "w.npz", **small)
    assert sorted(model.loaded_weights.fresh) == heads == sorted(model.loaded_weights.left_out)


# Old names ------------------------------------------------------------------------------------------------------------
def old_mobilenet_v2(name: str) -> str:
    """torchvision 0.2's name of a parameter: a block's layers in one row, ReLU6 counted."""
    m = re.fullmatch(r"features\.(\d+)\.conv\.(\d)\.(.*)", name)
    if m is None:
        return name
    block, layer, rest = m.groups()
    flat = {"0.0": 0, "0.1": 1, "1.0": 3, "1.1": 4} if block != "1" else {"0.0": 0, "0.1": 1}
    if rest[:1].isdigit():
        inner, leaf = rest.split(".", 1)
        return f"features.{block}.conv.{flat[f'{layer}.{inner}']}.{leaf}"
    last = {"1": {"1": 3, "2": 4}}.get(block, {"2": 6, "3": 7})
    return f"features.{block}.conv.{last[layer]}.{rest}"


def test_old_names_of_mobilenet_v2(tmp_path):
    model = models.get_model("mobilenet_v2", 5, width=0.1)
    state = model.state_dict()
    old = {f"module.{old_mobilenet_v2(k)}": a for k, a in state.items() if "num_batches" not in k}
    assert "module.features.2.conv.7.bias" in old and "module.features.1.conv.4.running_var" in old
    assert list(modernise(old, "mobilenet_v2")) == [k for k in state if "num_batches" not in k]
    assert modernise(state, "mobilenet_v2") == state and modernise({}) == {}
    mc.save(old, tmp_path / "old.npz")
    mc.manual_seed(1)
    loaded = models.get_model("mobilenet_v2", 5, width=0.1, weights=tmp_path / "old.npz").state_dict()
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array, err_msg=name)


def test_other_old_names():
    names = {"features.denseblock1.denselayer2.norm.1.weight": 0, "module.fc.bias": 1, "norm.1.weight": 2}
    new = ["features.denseblock1.denselayer2.norm1.weight", "module.fc.bias", "norm.1.weight"]
    assert list(modernise(names)) == new and modernise(names) == dict(zip(new, range(3)))


def test_batch_counts_may_be_missing():
    """Of a batch-norm that is there; a state without the batch-norm is still incomplete."""
    layer = nn.BatchNorm2d(2)
    state = {k: a.copy() for k, a in layer.state_dict().items() if k != "num_batches_tracked"}
    layer.num_batches_tracked.data += 5
    assert layer.load_state_dict(state) == ([], []) and layer.num_batches_tracked.data == 0
    del state["running_var"]
    complaint(lambda: layer.load_state_dict(state), F, ("missing: running_var, num_batches_tracked",))
