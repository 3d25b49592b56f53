"""What a benchmark ran on, and how fast its processor can be: a large matrix product."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SIZE = 3072  # rows and columns of the matrices
COPIED = 1 << 26  # numbers of float32 in the array that is copied: 268 MB, more than any cache
PACKAGES = ("numpy", "numba", "scipy", "torch")


def facts(threads: int) -> dict:
    """Names, versions and load, for the head of the table."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        "when": time.strftime("%Y-%m-%d %H:%M"),
    }


def cpu_name() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def peaks(threads: int) -> dict[str, float]:
    """GFLOP/s of a large float32 product in the BLAS of NumPy and in that of PyTorch, in processes of their own."""
    pools = {f"{pool}_NUM_THREADS": str(threads) for pool in ("OMP", "MKL", "OPENBLAS")}
    found = {}
    for library in ("numpy", "torch"):
        command = [sys.executable, __file__, library, str(threads)]
        printed = subprocess.run(command, env=os.environ | pools, capture_output=True, text=True, check=True).stdout
        found[library] = float(printed)
    return found


def bandwidth(threads: int) -> float:
    """GB/s that moves when a large array is copied by so many threads: what is read and what is written."""
    import numpy as np

    source, target = (
        np.ones((threads, COPIED // threads), np.float32),
        np.zeros((threads, COPIED // threads), np.float32),
    )
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(8):
            start = time.perf_counter()
            list(pool.map(np.copyto, target, source))  # NumPy lets other threads run meanwhile
            times.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(times) / 1e9


def _peak(library: str, threads: int) -> float:
    """The best of several: what else runs on the machine only ever takes away."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    out = np.empty_like(a)
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
        a, out = torch.from_numpy(a), torch.from_numpy(out)
        multiply = torch.mm
    else:
        multiply = np.matmul
    times = []
    for _ in range(8):
        start = time.perf_counter()
        multiply(a, a, out=out)
        times.append(time.perf_counter() - start)
    return 2 * SIZE**3 / min(times) / 1e9


if __name__ == "__main__":
    print(_peak(sys.argv[1], int(sys.argv[2])))
