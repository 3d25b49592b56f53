"""How this room compiles: one decorator for kernels, one for their helpers, one cache, one line when it takes a while.

Numba turns a Python function into machine code at its first call for each dtype, and ``cache=True`` keeps that code on
disk. Its cache only looks at the file that a function stands in: edit a *helper in another file* and the old answer
comes back. So the cache folder here is named after the contents of all files of this room (edit any, and it is another
folder).

``fastmath`` stays at three flags: sums may be reordered ("reassoc", so that they vectorise), a*b + c may round once
("contract"), and -0 may become 0 ("nsz"). Nothing here may assume that there are no NaNs or infinities.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import shutil
import sys
from pathlib import Path

import numba
import numpy as np
from numba.core import event

from ..announce import announce
from ..cache import writable_folder

FASTMATH = {"contract", "reassoc", "nsz"}
CACHES_KEPT = 5  # folders of compiled kernels, this one included
_NUMBAS_OWN_ORDER = ["tbb", "omp", "workqueue"]
running: str | None = None  # the name of the kernel that is running, under which compilations are announced


def choose_threading_layer() -> None:
    """OpenMP first: it starts a loop in 1.5 microseconds, TBB in 11, workqueue in 69. A user's own choice stays."""
    config = numba.config
    chosen = config.THREADING_LAYER != "default" or list(config.THREADING_LAYER_PRIORITY) != _NUMBAS_OWN_ORDER
    if not chosen and "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
        config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


def sleep_rather_than_spin() -> None:
    """Have OpenMP's threads look for work for some microseconds, then sleep.

    GNU's OpenMP looks for milliseconds by default. On a machine with anything else to do, a spinning thread then keeps
    the core that the last working one needs: a ResNet-20 step on 8x8 images took 18 ms alone, and 1,670 ms beside one
    busy process; with this, 18 and 89. The library reads these variables once, when it is loaded, so they are set for
    that moment only; a user's own choice stays.
    """
    wishes = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"}  # GNU's, LLVM's and Intel's
    if any(name in os.environ for name in ("OMP_WAIT_POLICY", *wishes)):
        return
    os.environ.update(wishes)
    try:
        with contextlib.suppress(ImportError):  # no OpenMP on this machine: Numba will take another layer
            importlib.import_module("numba.np.ufunc.omppool")
    finally:
        for name in wishes:
            del os.environ[name]


def _user_cache() -> Path:
    """Where this system keeps files that may be deleted at any time."""
    if numba.config.CACHE_DIR:  # the user's NUMBA_CACHE_DIR
        return Path(numba.config.CACHE_DIR)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _hash_of_room() -> str:
    """One hash over names and contents of all Python files of this folder."""
    hashed = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        content = file.read_bytes()
        hashed.update(f"{file.name} {len(content)}\n".encode() + content)
    return hashed.hexdigest()[:16]


def _find_cache_folder() -> str | None:
    """The folder, made if need be; None, after one warning, if it cannot be written."""
    if numba.config.DISABLE_JIT:
        return None
    place = lambda: _user_cache() / "minicnn" / _hash_of_room()  # noqa: E731
    folder = writable_folder(place, "compiled kernels", "NUMBA_CACHE_DIR")
    if folder is None:
        return None
    _prune(folder)
    return str(folder)


def _prune(current: Path) -> None:
    """Delete the caches of earlier contents of this room, but for the last few: other checkouts may use those."""
    with contextlib.suppress(OSError):  # another process may be deleting the same folders
        os.utime(current)  # used now, however old the code in it
        others = [f for f in current.parent.iterdir() if re.fullmatch("[0-9a-f]{16}", f.name) and f != current]
        others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in others[CACHES_KEPT - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)  # nor is it an error if another process still uses one


CACHE_FOLDER = _find_cache_folder()


@contextlib.contextmanager
def _numba_caches_here():
    """Numba picks the folder while it decorates, so its setting is ours only for that moment."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = CACHE_FOLDER or before
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def _compiled(function, **options):
    with _numba_caches_here():
        decorate = numba.njit(
            **options,
            cache=CACHE_FOLDER is not None,  # else Numba would fall back on __pycache__, which goes stale
            nogil=True,
            fastmath=FASTMATH,
            error_model="numpy",  # x / 0 is inf or NaN, not an exception
        )
        return decorate(function)


def kernel(function):
    """Decorate a function that contains one ``prange``: its iterations run on all threads."""
    if numba.config.DISABLE_JIT:  # then NumPy's numbers compute, which warn of 0 / 0; machine code does not
        return np.errstate(invalid="ignore", divide="ignore")(function)
    return _compiled(function, parallel=True)


def helper(function):
    """Decorate a function that one thread calls inside a kernel."""
    return _compiled(function)


def inlined(function):
    """Decorate a helper of few instructions, called so often that the calls would cost more than what it does.

    A 3x3 convolution in 32 groups of 4 channels copies four numbers at a time: 20 ms with calls, 14 without.
    """
    return _compiled(function, forceinline=True)


class _Announcer(event.Listener):
    """Says what is being compiled, as a first call seems to hang for seconds. Loading from the cache is silent."""

    depth = 0  # of nested compilations: a kernel compiles its helpers; Numba compiles in one thread at a time

    def on_start(self, event):
        self.depth += 1
        function = event.data["dispatcher"].py_func
        if self.depth == 1 and function.__module__.startswith(f"{__package__}."):
            self._announce(function.__name__.strip("_"), event.data["args"])

    def on_end(self, event):
        self.depth = max(0, self.depth - 1)

    def _announce(self, part: str, argument_types: tuple) -> None:
        kernel_name = running or part
        what = kernel_name if part == kernel_name else f"{kernel_name} ({part.replace('_', ' ')})"
        dtype = next((str(t.dtype) for t in argument_types if hasattr(t, "dtype")), "these arguments")
        kept = "kept in the cache" if CACHE_FOLDER else "not kept: the cache folder cannot be written"
        announce(f"minicnn: compiling {what} for {dtype} (first use on this machine; {kept})")


choose_threading_layer()
sleep_rather_than_spin()
event.register("numba:compile", _Announcer())
