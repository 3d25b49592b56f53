"""What PyTorch writes, minicnn reads equal; what minicnn writes, PyTorch's own tools read equal."""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn

torch = pytest.importorskip("torch")

FORMATS = [True, False]  # zip, legacy
KINDS = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


def saved(path, value, zipped: bool, **options):
    torch.save(value, path, _use_new_zipfile_serialization=zipped, **options)
    return path


def assert_equal(loaded: dict, state: dict) -> None:
    assert list(loaded) == list(state)
    for name, tensor in state.items():
        tensor = tensor.detach()
        want = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        assert (loaded[name].dtype, loaded[name].shape) == (want.dtype, want.shape), name
        np.testing.assert_array_equal(loaded[name], want, err_msg=name)


@pytest.mark.parametrize("zipped", FORMATS)
def test_every_kind_of_numbers(tmp_path, zipped):
    """Also infinities, NaN, numbers below the normal range, empty and 0-d tensors."""
    state = {}
    for kind in KINDS:
        numbers = torch.tensor([[0, 1, 2], [100, 3, 127]]).to(kind)
        state[f"{kind}"], state[f"{kind} 0-d"], state[f"{kind} none"] = numbers, numbers[1, 0], numbers[:0]
        if kind.is_floating_point:
            special = [torch.inf, -torch.inf, torch.nan, torch.finfo(kind).tiny / 2, -0.0, torch.finfo(kind).max]
            state[f"{kind} special"] = torch.tensor(special, dtype=torch.float64).to(kind)
    assert_equal(mc.load(saved(tmp_path / "w.pth", state, zipped)), state)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", FORMATS)
def test_layouts_shared_storages_parameters(tmp_path, zipped, protocol):
    base = torch.arange(120.0).reshape(2, 3, 4, 5)
    state = OrderedDict(
        whole=base, permuted=base.permute(3, 1, 0, 2), part=base[:, 1:, ::2, 3:], column=base[0, 0, :, 1],
        expanded=base[:1].expand(6, 3, 4, 5), last=base[-1, -1, -1, -1], flipped=base.flip(1),
        channels_last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        parameter=torch.nn.Parameter(torch.randn(3)), frozen=torch.nn.Parameter(torch.randn(2), requires_grad=False),
        same=base,
    )  # fmt: skip
    assert_equal(mc.load(saved(tmp_path / "w.pth", state, zipped, pickle_protocol=protocol)), state)


@pytest.mark.parametrize("zipped", FORMATS)
def test_a_training_programs_checkpoint(tmp_path, zipped):
    """Model in DataParallel, an optimiser that took a step, an epoch, a size: only the weights come back."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    content = {"epoch": 3, "best": 0.5, "name": "net", "shape": torch.Size([3, 5]), "done": None,
               "state_dict": OrderedDict(state), "optimizer": optimizer.state_dict()}  # fmt: skip
    path = saved(tmp_path / "w.pth", content, zipped)
    assert_equal(mc.load(path), state)
    with pytest.raises(mc.FileError, match="'optimizer' is no dict of arrays; those are: 'state_dict'"):
        mc.load(path, "optimizer")


REFUSED = {
    "a whole model": (lambda: torch.nn.Linear(2, 2), "asks for torch.nn.modules.linear.Linear"),
    "complex": (lambda: {"a": torch.ones(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage, numbers of a kind"),
    "8 bits": (lambda: {"a": torch.ones(2).to(torch.float8_e4m3fn)}, "asks for torch.float8_e4m3fn"),
    "sparse": (lambda: {"a": torch.eye(3).to_sparse()}, "asks for torch._utils._rebuild_sparse_tensor"),
    "conjugated": (lambda: {"a": torch.ones(2, dtype=torch.complex64).conj().imag}, "clone"),
    "NumPy's": (lambda: {"a": torch.ones(2), "b": np.float64(3)}, "asks for numpy"),
    "a set": (lambda: {"a": torch.ones(2), "b": {1}}, "asks for __builtin__.set"),
    "one tensor": (lambda: torch.ones(2), "one array without a name"),
}


@pytest.mark.parametrize("zipped", FORMATS)
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(tmp_path, what, zipped):
    make, says = REFUSED[what]
    with pytest.raises(mc.FileError, match=says):
        mc.load(saved(tmp_path / "w.pth", make(), zipped))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TorchScript is on its way out
def test_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(mc.FileError, match="TorchScript"):
        mc.load(tmp_path / "w.pt")


def test_without_checksums(tmp_path):
    """PyTorch can leave the checksums out of the archive."""
    state = {"a": torch.arange(5.0), "b": torch.arange(3)}
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        assert_equal(mc.load(saved(tmp_path / "w.pth", state, True)), state)
    finally:
        torch.serialization.set_crc32_options(before)


def test_from_memory_and_repacked(tmp_path):
    """The folder in the archive is called as the file was; and a file may be packed anew."""
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(5.0)}, buffer)
    (tmp_path / "renamed.pt").write_bytes(buffer.getvalue())
    assert mc.load(tmp_path / "renamed.pt")["a"].tolist() == [0, 1, 2, 3, 4]
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(tmp_path / "new.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert mc.load(tmp_path / "new.pt")["a"].tolist() == [0, 1, 2, 3, 4]


# The other way --------------------------------------------------------------------------------------------------------
def read_safetensors(path):
    from safetensors.torch import load_file

    return load_file(path)


def read_npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.mark.parametrize("suffix, read", [("safetensors", read_safetensors), ("npz", read_npz)])
def test_pytorch_reads_what_we_write(tmp_path, suffix, read):
    """Convolution with groups, batch-norm with statistics, linear: the same keys, and the same outputs in PyTorch."""
    ours = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), torch.nn.BatchNorm2d(6), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, 3),
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((2, 4, 8, 8)).astype(np.float32)
    ours(x)  # statistics that are not 0 and 1
    mc.save(ours, tmp_path / f"w.{suffix}")
    theirs.load_state_dict(read(tmp_path / f"w.{suffix}"), strict=True)
    expected = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x).data, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("zipped", FORMATS)
@pytest.mark.parametrize("name, options", [("resnet20", {}), ("mobilenet_v2", {"width": 0.1}), ("lenet5", {})])
def test_models_load_what_pytorch_saved(tmp_path, name, options, zipped):
    model = models.get_model(name, 10, **options)
    state = {k: torch.from_numpy(np.array(a)) for k, a in model.state_dict().items()}
    mc.manual_seed(1)
    other = models.get_model(name, 10, weights=saved(tmp_path / "w.pth", state, zipped), **options)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key], array, err_msg=key)
