"""PyTorch's files are read without PyTorch: every kind of numbers, and every kind of mischief."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
import torch_writer as w
from mistakes import complaint

import minicnn as mc

F = mc.FileError
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((2, 3, 4)).astype(np.float32)
FORMATS = ("zip", "legacy")


def write(path, format: str, description: bytes, arrays: dict[str, np.ndarray], order: str = "little", **options):
    """A file whose storages are these arrays."""
    raw = {key: a.astype(a.dtype.newbyteorder(order)).tobytes() for key, a in arrays.items()}
    if format == "legacy":
        raw = {key: (arrays[key].size, content) for key, content in raw.items()}
    path.write_bytes((w.zip_bytes if format == "zip" else w.legacy_bytes)(description, raw, order, **options))
    return path


def load(tmp_path, format, description, arrays, order="little", part=None, **options) -> dict:
    return mc.load(write(tmp_path / "w.pth", format, description, arrays, order, **options), part)


# What is read ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_of_numbers(tmp_path, format, order):
    arrays = {code: (50 * RNG.standard_normal((3, 5))).astype(code) for code in w.KINDS}
    state = {f"layer.{code}": w.whole(code, a) for code, a in arrays.items()}
    loaded = load(tmp_path, format, w.ordered(state), arrays, order)
    assert list(loaded) == list(state)
    for code, array in arrays.items():
        got = loaded[f"layer.{code}"]
        assert got.dtype == array.dtype and got.dtype.isnative and type(got) is np.ndarray
        np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("format", FORMATS)
def test_bfloat16_and_unsigned_kinds(tmp_path, format):
    """1, -2.5, infinity and the smallest number above 1; kinds that came with version 3 of the rebuilding function."""
    bits = np.array([0x3F80, 0xC020, 0x7F80, 0x3F81], np.uint16)
    untyped = w.stored("1", w.named("torch.storage", "UntypedStorage"), 8)
    later = w.call(
        w.named("torch._utils", "_rebuild_tensor_v3"), untyped, 1, (3,), (1,), False, {}, w.named("torch", "uint16")
    )
    state = {"b": w.tensor(w.stored("0", "BFloat16Storage", 4), (2, 2), (2, 1)), "u": later}
    loaded = load(tmp_path, format, w.steps(state), {"0": bits, "1": bits.view(np.uint8)})
    assert loaded["b"].dtype == np.float32 and loaded["b"].tolist() == [[1, -2.5], [np.inf, 1.0078125]]
    assert loaded["u"].dtype == np.uint16 and loaded["u"].tolist() == bits[1:].tolist()


@pytest.mark.parametrize("format", FORMATS)
def test_bfloat16_takes_twice_the_room(tmp_path, format):
    """A megabyte in the file, two in memory."""
    bits = np.full((2, 2**18 + 1), 0x3F80, np.uint16)
    state = {"b": w.tensor(w.stored("0", "BFloat16Storage", bits.size), bits.shape, (2**18 + 1, 1))}
    assert (load(tmp_path, format, w.steps(state), {"0": bits})["b"] == 1).all()


@pytest.mark.parametrize("format", FORMATS)
def test_views_of_one_storage(tmp_path, format):
    """Transposed, a part, one number repeated, none at all, a single one; what is shared stays shared."""
    row = np.arange(12.0)
    s = w.stored("0", "DoubleStorage", 12)
    state = {
        "all": w.tensor(s, (3, 4), (4, 1)), "transposed": w.tensor(s, (4, 3), (1, 4)),
        "part": w.tensor(s, (2, 2), (4, 2), 5), "repeated": w.tensor(s, (2, 3), (0, 0), 11),
        "none": w.tensor(s, (0, 7), (7, 1), 12), "one": w.tensor(s, (), (), 11),
        "parameter": w.call(w.named("torch._utils", "_rebuild_parameter"), w.tensor(s, (2,), (1,)), True, {}),
    }  # fmt: skip
    loaded = load(tmp_path, format, w.steps(state), {"0": row})
    expected = {
        "all": row.reshape(3, 4), "transposed": row.reshape(3, 4).T, "part": [[5, 7], [9, 11]],
        "repeated": np.full((2, 3), 11), "none": np.empty((0, 7)), "one": np.array(11.0), "parameter": [0, 1],
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_array_equal(
            loaded[name], values, strict=isinstance(values, np.ndarray) and name != "repeated"
        )
    before = (tmp_path / "w.pth").read_bytes()
    loaded["all"][0, 1] = 70
    assert loaded["transposed"][1, 0] == 70 and (tmp_path / "w.pth").read_bytes() == before


@pytest.mark.parametrize("format", FORMATS)
def test_a_mapped_array_computes(tmp_path, format):
    """Storages of the legacy format lie at odd addresses; kernels take them all the same."""
    weight = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
    loaded = load(tmp_path, format, w.steps({"w": w.whole("0", weight)}), {"0": weight})
    x = mc.tensor(RNG.standard_normal((2, 3, 6, 6)).astype(np.float32))
    y = mc.functional.conv2d(x, mc.Tensor(loaded["w"]))
    np.testing.assert_array_equal(y.data, mc.functional.conv2d(x, mc.Tensor(weight)).data)


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "weights", "w.npz", "w.safetensors"])
@pytest.mark.parametrize("format", [*FORMATS, "npz", "safetensors"])
def test_the_content_decides_not_the_name(tmp_path, format, name):
    if format in FORMATS:
        write(tmp_path / name, format, w.steps({"w": w.whole("0", WEIGHT)}), {"0": WEIGHT})
    else:
        mc.save({"w": WEIGHT}, tmp_path / f"x.{format}")
        (tmp_path / f"x.{format}").rename(tmp_path / name)
    loaded = mc.load(tmp_path / name)
    assert list(loaded) == ["w"]
    np.testing.assert_array_equal(loaded["w"], WEIGHT)


ONE = w.whole("0", WEIGHT)


@pytest.mark.parametrize(
    "description, part, names",
    [
        ({"a": ONE, "epoch": 3, "loss": np.inf}, None, ["a", "epoch", "loss"]),
        ({}, None, []),
        ({"epoch": 3, "state_dict": w.ordered({"a": ONE}), "optimizer": {"state": {0: {"step": 1}}}}, None, ["a"]),
        ({"model": {"a": ONE}, "args": [1, None, "x"], "best": 0.5}, None, ["a"]),
        ({"model": {"a": ONE}, "other": {"b": ONE}}, None, ["a"]),
        ({"model": {"a": ONE}, "model_ema": {"b": ONE}}, "model_ema", ["b"]),
        ({"mine": {"a": ONE}}, "mine", ["a"]),
        ({"module.a": ONE, "module.b": ONE}, None, ["module.a", "module.b"]),
        (w.call(w.named("collections", "OrderedDict"), [["a", ONE], ["b", ONE]]), None, ["a", "b"]),  # by Python 2
    ],
)
def test_which_dict_holds_the_weights(tmp_path, description, part, names):
    assert list(load(tmp_path, "zip", w.steps(description), {"0": WEIGHT}, part=part)) == names


def test_old_archives_without_byteorder_and_other_protocols(tmp_path):
    """PyTorch before 2.1 did not note the order: little. Frames and memoised names come with protocol 4."""
    path = tmp_path / "w.pth"
    path.write_bytes(w.zip_bytes(w.steps({"a": ONE}), {"0": WEIGHT.tobytes()}, order=None))
    np.testing.assert_array_equal(mc.load(path)["a"], WEIGHT)
    text = lambda s: b"\x8c" + bytes([len(s)]) + s.encode()  # noqa: E731
    new = w.Steps(ONE.replace(b"ctorch\nFloatStorage\n", text("torch") + b"\x94" + text("FloatStorage") + b"\x93"))
    assert new != ONE
    framed = b"\x80\x04\x95" + struct.pack("<Q", 5) + w.steps({"a": new})
    np.testing.assert_array_equal(load(tmp_path, "zip", framed, {"0": WEIGHT})["a"], WEIGHT)


# Memory ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("format", FORMATS)
def test_a_large_file_is_not_copied(tmp_path, format):
    """32 MB are mapped, not read; what a model needs is copied once, into the model."""
    big = np.zeros((4, 2**21), np.float32)
    path = write(tmp_path / "w.pth", format, w.steps({"weight": w.whole("0", big)}), {"0": big})
    mc.load(path)  # imports
    tracemalloc.start()
    try:
        state = mc.load(path)
        assert state["weight"].nbytes == 2**25 and tracemalloc.get_traced_memory()[1] < 2**20
        layer = mc.nn.Linear(2**21, 4, bias=False)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        layer.load_state_dict(state)
        assert tracemalloc.get_traced_memory()[1] - before < 2**20
    finally:
        tracemalloc.stop()


# Mischief -------------------------------------------------------------------------------------------------------------
def system_call(path) -> bytes:
    return w.call(w.named("os", "mkdir"), str(path))


HOSTILE = {
    "os.mkdir": lambda p: system_call(p),
    "posix": lambda p: w.call(w.named("posix", "mkdir"), str(p)),
    "eval": lambda p: w.call(w.named("builtins", "eval"), f"__import__('os').mkdir({str(p)!r})"),
    "inside a tensor": lambda p: w.steps({"a": w.tensor(system_call(p), (1,), (1,))}),
    "inside a storage": lambda p: w.steps({"a": w.tensor(w.stored(system_call(p), "FloatStorage", 1), (1,), (1,))}),
    "as attributes": lambda p: w.Steps(w.call(w.named("collections", "OrderedDict")) + system_call(p) + b"b"),
    "in a stack global": lambda p: w.Steps(w.steps("os") + w.steps("mkdir") + b"\x93" + w.steps((str(p),)) + b"R"),
    "getattr": lambda p: w.call(w.named("builtins", "getattr"), w.named("torch", "Size"), "__globals__"),
    "dotted": lambda p: w.named("torch", "Size.__globals__"),
    "torch's own loader": lambda p: w.call(w.named("torch.storage", "_load_from_bytes"), "x"),
    "a whole model": lambda p: w.Steps(w.named("torchvision.models.resnet", "ResNet") + w.steps(()) + b"\x81"),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_pickles_run_nothing(tmp_path, what, format):
    target = tmp_path / "boom"
    description = HOSTILE[what](target)
    complaint(lambda: load(tmp_path, format, description, {}), F, ("w.pth is refused: it asks for", "state_dict()"))
    assert not target.exists()


def s(count: int = 24, kind="FloatStorage", key="0", *more) -> w.Steps:
    return w.stored(key, kind, count, *more)


REFUSED = {
    # description, what the message says
    "beyond the end": (w.tensor(s(), (25,), (1,)), "reaches to number 24 of a storage of 24"),
    "offset": (w.tensor(s(), (24,), (1,), 1), "reaches to number 24"),
    "strides": (w.tensor(s(), (2, 2), (24, 1)), "reaches to number 25"),
    "negative stride": (w.tensor(s(), (2,), (-1,), 5), "a stride of a tensor is no whole number"),
    "negative offset": (w.tensor(s(), (2,), (1,), -1), "the offset"),
    "negative size": (w.tensor(s(), (-2,), (1,)), "a size"),
    "huge size": (w.tensor(s(), (2**200,), (0,)), "a size"),
    "wraps round": (w.tensor(s(), (2**62, 4), (4, 1)), "reaches to"),
    "expands": (w.steps({"a": w.tensor(s(), (2**40,), (0,))}), "larger than the file"),
    "expands nothing": (w.steps({"a": w.tensor(s(), (0, 2**60), (0, 0))}), "larger than the file"),
    "fewer strides": (w.tensor(s(), (2, 2), (1,)), "2 sizes and 1 strides"),
    "65 axes": (w.tensor(s(), (1,) * 65, (1,) * 65), "65 sizes"),
    "sizes as list": (w.tensor(s(), [2], [1]), "has list where tuple belongs"),
    "true as size": (w.tensor(s(), (True,), (1,)), "a size"),
    "no storage": (w.tensor(w.steps(3), (1,), (1,)), "has int where Storage belongs"),
    "two kinds": ([w.tensor(s(), (1,), (1,)), s(12, "DoubleStorage")], "two different storages '0'"),
    "a view": (w.tensor(s(24, "FloatStorage", "0", ("1", 0, 3)), (1,), (1,)), "a view of a storage"),
    "a module": (w.Steps(w.steps(("module", 1, 2, 3, 4)) + b"Q"), "something else than a storage"),
    "complex": (w.tensor(s(3, "ComplexFloatStorage"), (3,), (1,)), "torch.ComplexFloatStorage, numbers of a kind"),
    "quantised": (w.tensor(s(24, "QInt8Storage"), (3,), (1,)), "torch.QInt8Storage"),
    "sparse": (w.named("torch._utils", "_rebuild_sparse_tensor"), "asks for torch._utils._rebuild_sparse_tensor"),
    "escape sequences": (w.named("os\x1b[31m", "x"), r"os\x1b[31m.x"),
    "called storage": (w.call(w.named("torch", "FloatStorage"), 3), "has Kind where Callee belongs"),
    "called text": (w.call(w.steps("print"), "boo"), "has str where Callee belongs"),
    "tuple as key": (w.Steps(b"}" + w.steps((1, 2)) + b"Ns"), "keys are of type tuple"),
    "set": (w.Steps(b"\x8f"), "the step EMPTY_SET"),
    "extension": (w.Steps(b"\x82\x01"), "the step EXT1"),
    "instance": (w.Steps(b"(ios\nsystem\n"), "the step INST"),
    "new object": (w.Steps(w.named("collections", "OrderedDict") + b")\x81"), "the step NEWOBJ"),
    "old reference": (w.Steps(b"P1\n"), "the step PERSID"),
    "buffer": (w.Steps(b"\x97"), "the step NEXT_BUFFER"),
    "empty stack": (w.Steps(b"0"), "damaged or cut off"),
    "unknown memo": (w.Steps(b"h\x07"), "damaged or cut off"),
    "no such step": (w.Steps(b"\xff"), "damaged or cut off"),
    "text of 2 GB": (w.Steps(b"X\xff\xff\xff\x7fabc"), "damaged or cut off"),
    "text of 2**60 bytes": (w.Steps(b"\x8d" + struct.pack("<Q", 2**60) + b"abc"), "damaged or cut off"),
    "memo at 2**31": (w.Steps(b"Nr\xff\xff\xff\x7f0"), "damaged or cut off"),
    "too many arguments": (w.call(w.named("torch", "Size"), 1, 2, 3), "damaged or cut off"),
    "negated": (
        w.call(w.named("torch._utils", "_rebuild_tensor_v2"), s(), 0, (), (), False, {}, {"neg": True}), "clone()",
    ),
    "bytes": (w.tensor(s(96, w.named("torch.storage", "UntypedStorage")), (1,), (1,)), "does not say what they are"),
    "text": (w.steps({"a": ONE, "b": "text"}), "'b' is no array, but str"),
    "optimiser": (w.steps({"a": ONE, "b": {}}), "'b' is no array, but dict"),
    "huge number": (w.steps({"a": ONE, "b": 2**900}), "'b' is no array, but int"),
    "lone tensor": (ONE, "one array without a name"),
    "list": (w.steps([ONE]), "it holds list"),
    "only numbers": (w.steps({"a": 1, "b": [ONE]}), "no arrays, only 'a', 'b'"),
    "several": (w.steps({"model": {"a": ONE}, "ema": {"a": ONE}}), "part=...): 'model', 'ema'"),
    "unusual": (w.steps({"mine": {"a": ONE}}), "part=...): 'mine'"),
}  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(tmp_path, what, format):
    description, says = REFUSED[what]
    complaint(lambda: load(tmp_path, format, w.steps(description), {"0": WEIGHT}), F, ("w.pth is refused", says))


def test_parts(tmp_path):
    two = w.steps({"model": {"a": ONE}, "ema": {"a": ONE}, "epoch": 3})
    says = ("'epoch' is no dict of arrays; those are: 'model', 'ema'",)
    complaint(lambda: load(tmp_path, "zip", two, {"0": WEIGHT}, part="epoch"), F, says)
    mc.save({"w": WEIGHT}, tmp_path / "w.npz")
    complaint(lambda: mc.load(tmp_path / "w.npz", "model"), mc.ArgumentError, ("part='model' is for torch files",))
