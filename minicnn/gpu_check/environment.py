"""What machine this is: GPU, driver, CUDA, packages."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator

import numpy as np

from .._version import __version__
from ..kernels.cuda import backend
from .report import FOUND, Line

HEAD = ("what", "found")
NOTE = "Not judged; a report without it says little."


def lines(device: str, quick: bool) -> Iterator[Line]:
    """One line for each fact. What cannot be found out says why."""
    xp = backend.array_module(device)
    here = xp.cuda.Device()
    for what, ask in {
        "device": lambda: f"{device!r}" + (": CUDA on the CPU, in minicnn's simulator" if device == "sim" else ""),
        "GPU": lambda: _properties(xp)["name"].decode(),
        "compute capability": lambda: f"{here.compute_capability[:-1]}.{here.compute_capability[-1]}",
        "multiprocessors": lambda: str(_properties(xp)["multiProcessorCount"]),
        "memory": lambda: "{:,.0f} MB free of {:,.0f} MB".format(*(n / 1e6 for n in here.mem_info)),
        "driver": lambda: f"CUDA {_version(xp.cuda.runtime.driverGetVersion())}{_driver()}",
        "CUDA runtime": lambda: _version(xp.cuda.runtime.runtimeGetVersion()),
        "compiler": lambda: "g++" if device == "sim" else "NVRTC " + ".".join(map(str, xp.cuda.nvrtc.getVersion())),
        "CuPy": lambda: f"{xp.__version__}" + (", of which the simulator has a stand-in" if device == "sim" else ""),
        "CUPY_TF32": lambda: os.environ.get("CUPY_TF32", "not set") + " (1: products of float32 keep 11 bits of 24)",
        "NumPy": lambda: np.__version__,
        "minicnn": lambda: __version__,
        "Python": lambda: f"{platform.python_version()} on {platform.platform()}",
    }.items():
        yield Line(FOUND, (what, _asked(ask)))


def _asked(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception as error:  # one fact less
        return f"unknown ({type(error).__name__}: {error})"


def _properties(xp) -> dict:
    return xp.cuda.runtime.getDeviceProperties(xp.cuda.runtime.getDevice())


def _version(number: int) -> str:
    """13020 is 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver() -> str:
    """The driver's own number, from nvidia-smi where there is one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False).stdout.split()
    return f", driver {answer[0]}" if answer else ""
