"""The cpu room: the kernels of the plain room, compiled by Numba, on channels-last arrays (N, H, W, C).

Three rules make it fast and its results reproducible:

* one ``prange`` per pass, whose tasks are cut by *shapes*, never by the number of threads, and whose partial sums are
  added in a fixed order: the same bits on one thread and on sixty-four;
* a task gathers what it needs into a workspace that fits its core's second-level cache and multiplies there with
  ``np.dot``, that is SciPy's BLAS, which therefore must not start threads of its own;
* gradients are gathered by the pixel that receives them, so no two tasks ever add to the same number.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from pathlib import Path

import numba

from . import jit

MOST_KEPT_MB = 2047
# Every launch uses all cores already, and under Numba's workqueue layer two at a time abort the interpreter.
lock = threading.RLock()
_prepared = False
_threads: int | None = None  # None: as many as Numba says


class entering:  # noqa: N801 - reads as a verb, like use_room
    """While kernel ``name`` runs, in a thread that holds :data:`lock`: BLAS on one thread, our number of threads."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if not _prepared:
            _prepare()
        if _threads is not None:
            numba.set_num_threads(_threads)  # Numba keeps this number per Python thread
        self.outer, jit.running = jit.running, self.name

    def __exit__(self, *exc_info: object) -> None:
        jit.running = self.outer


def _prepare() -> None:
    """What this process needs before its first kernel."""
    global _prepared
    _one_thread_for_blas()
    _keep_freed_memory()
    _prepared = True


def _one_thread_for_blas() -> None:
    """Set SciPy's BLAS, which compiled ``np.dot`` calls, to one thread; NumPy's own stays as it is."""
    import numpy
    import scipy
    import scipy.linalg.cython_blas  # noqa: F401 - loads the library
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    paths = [library.filepath for library in blas.lib_controllers]
    wanted = [path for path in paths if _belongs_to(path, scipy)]
    if not wanted:  # no wheel, as with conda: SciPy and NumPy share the system's library
        wanted = [path for path in paths if not _belongs_to(path, numpy)]
    if wanted:
        blas.select(filepath=wanted).limit(limits=1)  # not used as `with`: it stays


def _keep_freed_memory() -> None:
    """Have glibc keep the arrays that a training step frees for the next step, which frees and asks for the same again.

    glibc gives large arrays pages of their own and returns them to the system each time, to be fetched and cleared
    anew. What is large it learns from what is freed, beginning at 128 KiB and up to 32 MiB, and it returns the free end
    of its memory as well: a ResNet-20 step at 32x32 took 310 ms with 38,000 page faults, and takes 260 with few. The
    price: the process keeps the size of its largest step, up to 2 GB, or as many MB as MINICNN_KEEP_MB says (0: none).
    Whoever sets MALLOC_ variables keeps their own rules; other systems are left alone.
    """
    mmap_threshold, trim_threshold = -3, -1  # their numbers in malloc.h
    kept = _kept_mb()
    if sys.platform == "linux" and kept > 0 and not any(name.startswith("MALLOC_") for name in os.environ):
        with contextlib.suppress(AttributeError):  # no glibc: musl has no mallopt
            mallopt = ctypes.CDLL(None).mallopt
            # Older versions refuse more than 32 MiB. The trim threshold alone would do harm: it stops the learning.
            if mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20):
                mallopt(trim_threshold, kept << 20)


def _kept_mb() -> int:
    """MB of freed memory that the process may keep; at most what mallopt's int can say."""
    said = os.environ.get("MINICNN_KEEP_MB", str(MOST_KEPT_MB))
    if not said.isdecimal():
        raise ValueError(f"MINICNN_KEEP_MB must be a whole number of MB, 0 or more, got {said!r}")
    return min(int(said), MOST_KEPT_MB)


def _belongs_to(path: str, package) -> bool:
    """Whether a wheel of ``package`` brought this library: in package.libs beside it, or inside it (.dylibs)."""
    folder = Path(package.__file__).resolve().parent
    parents = Path(path).resolve().parents
    return folder in parents or folder.with_name(f"{folder.name}.libs") in parents


def apply_num_threads(n: int) -> None:
    """Use ``n`` threads in every launch from now on, whichever Python thread launches.

    Raises
    ------
    ValueError
        If ``n`` exceeds the number of threads that Numba started with.
    """
    global _threads
    most = numba.config.NUMBA_NUM_THREADS
    if not 1 <= n <= most:
        raise ValueError(
            f"set_num_threads: n must be between 1 and {most}, got {n}; "
            "set the environment variable NUMBA_NUM_THREADS before Python starts to allow more"
        )
    _threads = int(n)


def num_threads() -> int:
    """How many threads the next launch uses."""
    return _threads if _threads is not None else numba.get_num_threads()
