"""A device that this machine lacks something for: one sentence that says what, and the remedy; nothing else breaks."""

from __future__ import annotations

import sys
import types

import pytest
from command_line import command
from mistakes import complaint

import minicnn as mc
from minicnn import nn
from minicnn.kernels.cuda import backend

USES = {
    "tensor": lambda device: mc.tensor([1.0], device=device),
    "to": lambda device: mc.tensor([1.0]).to(device),
    "model": lambda device: nn.Linear(2, 2).to(device),
}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(backend, "_usable", set())


@pytest.mark.parametrize("use", USES)
def test_no_cupy(monkeypatch, use):
    """The extra to install, by name."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    complaint(lambda: USES[use]("cuda"), mc.DeviceError, ("needs CuPy", "minicnn-from-scratch[cuda13]"))


@pytest.mark.parametrize("use", USES)
def test_no_driver(monkeypatch, use):
    class CUDARuntimeError(RuntimeError):
        pass

    def count():
        raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")

    runtime = types.SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime), ndarray=type("ndarray", (), {}))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    complaint(lambda: USES[use]("cuda"), mc.DeviceError, ("driver", "nvidia-smi", "'sim'"))


@pytest.mark.parametrize("use", USES)
def test_no_compiler(monkeypatch, use):
    monkeypatch.setenv("PATH", "/nonexistent")
    complaint(lambda: USES[use]("sim"), mc.DeviceError, ("g++", "apt install g++"))


def test_another_system(monkeypatch):
    """One clear sentence on macOS and Windows."""
    monkeypatch.setattr(sys, "platform", "darwin")
    complaint(lambda: mc.tensor([1.0], device="sim"), mc.DeviceError, ("Linux only",))


def test_training_ends_with_one_line(monkeypatch, tmp_path, capsys):
    """No traceback and no run folder."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert command("train", "--model", "resnet20", "--data", "digits", "--device", "cuda", "--out", tmp_path / "r") == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "r").exists()
