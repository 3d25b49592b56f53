"""``minicnn doctor``: is this installation well, and what would mend it?"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from dataclasses import dataclass

import numpy as np

from . import kernels
from .kernels import rooms, samples
from .kernels.cuda import backend


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, and a remedy ("" if all is well)."""

    what: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = "ok  " if not self.remedy else "note"
        return f"{mark}  {self.what:<16} {self.found}" + (f"  -> {self.remedy}" if self.remedy else "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _room_findings() -> list[Finding]:
    if not rooms.numba_works():
        return [
            Finding(
                "room",
                "plain: Numba is missing or does not work",
                "pip install --upgrade numba (kernels are slow without it)",
            )
        ]
    import numba

    from .kernels.cpu import jit

    room = kernels.current_room()
    remedy = "" if room == "cpu" else "unset MINICNN_ROOM for the fast room"
    findings = [Finding("room", f"{room} (Numba {numba.__version__})", remedy)]
    if numba.config.DISABLE_JIT:
        return [*findings, Finding("compiler", "switched off", "unset NUMBA_DISABLE_JIT, or kernels crawl")]
    name, arguments = next(samples.samples())
    with kernels.use_room("cpu"):
        kernels.KERNELS[name](*arguments)  # the threading layer is known after the first parallel kernel
    layer = numba.threading_layer()
    slow = "install OpenMP (libgomp) or pip install tbb: a launch then costs 1.5 or 11 microseconds instead of 69"
    no_cache = "set NUMBA_CACHE_DIR to a folder that can be written; until then every process compiles its kernels anew"
    return [
        *findings,
        Finding(
            "threads", f"{kernels.get_num_threads()}, threading layer {layer}", slow if layer == "workqueue" else ""
        ),
        Finding("kernel cache", jit.CACHE_FOLDER or "none", "" if jit.CACHE_FOLDER else no_cache),
    ]


def _kernels_agree() -> Finding:
    """Run every kernel in both rooms on the sample arguments."""
    if not rooms.numba_works():
        return Finding("kernels", f"{len(kernels.KERNELS)} in the plain room")
    wrong = []
    for name, arguments in samples.samples():
        results = []
        for room in ("plain", "cpu"):
            copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
            with kernels.use_room(room):
                out = kernels.KERNELS[name](*copies)
            results.append([copies[0]] if out is None else [out] if isinstance(out, np.ndarray) else list(out))
        if not all(np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True) for a, b in zip(*results)):
            wrong.append(name)
    if wrong:
        found = f"the rooms disagree on {', '.join(sorted(set(wrong)))}"
        return Finding("kernels", found, "pytest tests/test_kernels_agree.py shows where")
    return Finding("kernels", f"{len(kernels.KERNELS)}, the rooms agree on samples of all")


def _devices() -> list[Finding]:
    """Where CUDA kernels can run: on the CPU, in the simulator, and on a GPU."""
    why_sim, why_cuda = backend.why_not("sim"), backend.why_not("cuda")
    return [
        Finding("device sim", "CUDA on the CPU" if why_sim is None else "optional, not usable", why_sim or ""),
        Finding("device cuda", "a GPU, through CuPy" if why_cuda is None else "optional, not usable", why_cuda or ""),
    ]


def examine() -> list[Finding]:
    """Everything that ``minicnn doctor`` prints."""
    old = sys.version_info < (3, 11)
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    findings = [
        Finding("python", python, "use Python 3.11 or newer" if old else ""),
        Finding("numpy", np.__version__, "pip install 'numpy>=2'" if int(np.__version__.split(".")[0]) < 2 else ""),
        *_room_findings(),
        _kernels_agree(),
        *_devices(),
    ]
    uses = {
        "scikit-learn": "the digits data set",
        "pooch": "the other data sets",
        "matplotlib": "curves and grids of pictures",
        "pillow": "photographs",
        "safetensors": "weights",
    }
    for package, use in uses.items():
        version = _version(package)
        findings.append(Finding(package, version or "missing", "" if version else f"pip install {package} ({use})"))
    graphviz = _version("graphviz")
    drawing = graphviz and shutil.which("dot")
    remedy = "pip install 'minicnn-from-scratch[draw]' and apt install graphviz, to draw graphs as pictures"
    found = f"{graphviz}, with dot" if drawing else "optional, not complete"
    findings.append(Finding("graphviz", found, "" if drawing else remedy))
    return findings
