"""Which room a call goes to follows from where its arrays lie; what a machine lacks is said in one sentence."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from device_arrays import moved, on_device

import minicnn as mc
from minicnn import kernels
from minicnn.kernels import KERNELS, layout
from minicnn.kernels.cuda import backend, launcher

SAME = ((1, 1), (1, 1, 1, 1), (1, 1))  # stride, padding, dilation


@pytest.fixture
def arrays(rng):
    """x, weight, bias of a small convolution."""
    return rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((6, 3, 3, 3)), rng.standard_normal(6)


def test_device_arrays_go_to_the_cuda_room(xp, arrays):
    """In any room: the plain and cpu rooms cannot read a device's memory."""
    expected = KERNELS["conv2d"].function("plain")(*arrays, *SAME, 1)
    for room in ("plain", "cpu"):
        with kernels.use_room(room):
            y = kernels.conv2d(*moved(xp, arrays), *SAME, 1)
            assert isinstance(y, xp.ndarray)
            np.testing.assert_allclose(y.get(), expected, rtol=1e-10)


def test_none_for_an_optional_array(xp, arrays):
    """A convolution without bias; None elsewhere is a mistake."""
    x, w, _ = moved(xp, arrays)
    expected = KERNELS["conv2d"].function("plain")(*arrays[:2], None, *SAME, 1)
    np.testing.assert_allclose(kernels.conv2d(x, w, None, *SAME, 1).get(), expected, rtol=1e-10)
    with pytest.raises(TypeError, match="conv2d takes NumPy arrays or arrays on a device, got NoneType as argument 2"):
        kernels.conv2d(x, None, None, *SAME, 1)


def test_arrays_of_host_and_device_do_not_mix(xp, arrays):
    """Both places are named, and how to move an array, whichever comes first."""
    x, w, b = arrays
    device = backend.device_of(xp.zeros(1))
    with pytest.raises(TypeError, match=f"argument 1 on the device '{device}' and argument 2 on 'cpu'.*asarray.*get"):
        kernels.conv2d(on_device(xp, x), w, None, *SAME, 1)
    with pytest.raises(TypeError, match=f"argument 1 on the device 'cpu' and argument 3 on '{device}'"):
        kernels.conv2d(x, w, on_device(xp, b), *SAME, 1)


def test_what_is_no_array_is_named(xp):
    for wrong in ([1.0], mc.tensor([1.0]), 1.0):
        with pytest.raises(TypeError, match=f"got {type(wrong).__name__} as argument 1"):
            kernels.relu(wrong)
        with pytest.raises(TypeError, match=f"got {type(wrong).__name__} as argument 2"):
            kernels.relu_backward(xp.ones(1), wrong)


def test_dtypes_and_shapes_are_checked_as_on_the_host(xp):
    """The same sentences as for NumPy arrays; statistics may be float64 beside float32 images."""
    x, w = xp.ones((1, 2, 3, 3), np.float32), xp.ones((1, 2, 1, 1), np.float64)
    with pytest.raises(TypeError, match="conv2d was given float32 and float64"):
        kernels.conv2d(x, w, None, *SAME, 1)
    with pytest.raises(TypeError, match="computes in float32 or float64, got int32"):
        kernels.relu(xp.ones(3, np.int32))
    with pytest.raises(ValueError, match=r"takes images \(N, C, H, W\), got shape \(2, 3\)"):
        kernels.channel_sum(xp.ones((2, 3), np.float32))
    mean, vector = xp.ones(2, np.float64), xp.ones(2, np.float32)
    assert KERNELS["batch_norm"]._check((x, mean, mean, vector, vector)) is True


def test_rooms_of_a_kernel():
    """A room's own function can be asked for by name; the cuda room cannot be chosen for NumPy arrays."""
    from minicnn.kernels.cuda import conv

    assert KERNELS["conv2d"].function("cuda") is conv.conv2d
    with pytest.raises(ValueError, match="arrays on a device are computed there, in the cuda room"):
        kernels.use_room("cuda")


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("place", ["host", "device"])
def test_updates_reach_the_callers_array(xp, rng, shape, gaps, place):
    """A kernel writes into what the adapter gave it; if that was a copy, the numbers are written back."""

    def add_one(flat):
        assert flat.ndim == 1 and flat.flags.c_contiguous
        flat += 1

    values = rng.standard_normal((*shape[:-1], 2 * shape[-1]))
    array = values.copy() if place == "host" else xp.asarray(values)
    part = (..., slice(None, None, 2)) if gaps else ...
    layout.run_in_room(add_one, (array[part],), (), {}, (layout.UPDATED,), ())
    values[part] += 1
    np.testing.assert_array_equal(array if place == "host" else array.get(), values)


def test_channels_last_on_the_device(xp, rng):
    """What the framework lays out stays where it is."""
    x = rng.standard_normal((2, 3, 4, 5))
    y = layout.channels_last(on_device(xp, x))
    assert isinstance(y, xp.ndarray) and y.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(y.get(), x)


def test_numpy_calls_load_neither_cupy_nor_the_simulator():
    """A user without a GPU pays nothing: neither time nor memory, nor a warning of a half-installed CuPy."""
    script = """
import sys, numpy as np
from minicnn import kernels
kernels.use_room("plain")
kernels.relu(np.ones(3))
kernels.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), None, (1, 1), (1, 1, 1, 1), (1, 1), 1)
light = ("minicnn.kernels.cuda", "minicnn.kernels.cuda.backend")  # tell where arrays live, and import nothing
print([n for n in sys.modules if ("cupy" in n or ".cuda" in n or ".sim" in n) and n not in light])
"""
    root = Path(mc.__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


class CUDARuntimeError(RuntimeError):
    pass


def cupy_of(count):
    """A CuPy that imports, and whose CUDA answers ``count``, or raises it."""

    def get_device_count():
        if isinstance(count, Exception):
            raise count
        return count

    runtime = types.SimpleNamespace(getDeviceCount=get_device_count, CUDARuntimeError=CUDARuntimeError)
    module = types.ModuleType("cupy")
    module.cuda, module.ndarray = types.SimpleNamespace(runtime=runtime), type("ndarray", (), {})
    return module


@pytest.mark.parametrize(
    ("cupy", "says"),
    [
        (None, ("needs CuPy", "pip install 'minicnn-from-scratch[cuda13]'", "[cuda12]")),
        (
            cupy_of(CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")),
            ("needs an NVIDIA driver", "nvidia-smi", "'sim'"),
        ),
        (cupy_of(CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device")), ("needs a GPU", "cudaErrorNoDevice")),
        (cupy_of(0), ("needs a GPU", "nvidia-smi")),
    ],
    ids=["no CuPy", "no driver", "no GPU", "none visible"],
)
def test_what_cuda_lacks_is_one_sentence(monkeypatch, cupy, says):
    """Missing CuPy, driver and GPU are different mistakes with different remedies; each is told apart."""
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(backend, "_usable", set())
    for _ in range(2):  # a failure is not remembered as a success
        with pytest.raises(backend.DeviceUnavailable) as caught:
            backend.array_module("cuda")
    message = str(caught.value)
    assert "\n" not in message and all(words in message for words in says), message


def test_a_working_cupy_is_handed_out(monkeypatch):
    """One GPU is enough, and the module is CuPy itself; its arrays are recognised."""
    cupy = cupy_of(1)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(backend, "_usable", set())
    assert backend.array_module("cuda") is cupy
    assert backend.device_of(cupy.ndarray()) == "cuda" and backend.module_of(cupy.ndarray()) is cupy


def test_what_the_simulator_lacks_is_its_own_sentence(xp, monkeypatch):
    from minicnn.kernels import sim

    monkeypatch.setattr(sim, "why_not", lambda: "no g++ here; apt install g++")
    monkeypatch.setattr(backend, "_usable", set())
    with pytest.raises(backend.DeviceUnavailable, match=r"no g\+\+ here; apt install g\+\+"):
        backend.array_module("sim")


def test_unknown_device():
    with pytest.raises(ValueError, match="there is no device 'gpu' for device arrays; there are 'cuda', 'sim'"):
        backend.array_module("gpu")
    with pytest.raises(TypeError, match="a device array .* is needed, got list"):
        backend.module_of([1])


class DynamicLibNotFoundError(RuntimeError):
    pass


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (RuntimeError("Failed to find CUDA headers. Please install"), backend.DeviceUnavailable, "the CUDA headers"),
        (DynamicLibNotFoundError('Failure finding "libnvrtc.so"'), backend.DeviceUnavailable, "NVRTC"),
        (RuntimeError("line 3: expected a ;"), RuntimeError, "line 3: expected a ;"),
    ],
    ids=["headers", "NVRTC", "compiler"],
)
def test_a_missing_toolkit_is_told_from_a_mistake_in_a_kernel(xp, arrays, monkeypatch, error, expected, says):
    """The bare CuPy wheel compiles nothing: the extra that brings the headers is named. Other errors pass unchanged."""

    def raises(**_):
        raise error

    monkeypatch.setattr(launcher, "_modules", {})
    monkeypatch.setattr(xp, "RawModule", raises)
    with pytest.raises(expected, match=says) as caught:
        kernels.conv2d(*moved(xp, arrays), *SAME, 1)
    assert type(caught.value) is expected
    if expected is backend.DeviceUnavailable:
        assert "minicnn-from-scratch[cuda13]" in str(caught.value)
