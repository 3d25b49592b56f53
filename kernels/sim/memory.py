"""Device memory: apart from NumPy's, ending at a page that must not be touched, and uninitialised until written."""

from __future__ import annotations

import ctypes
import functools
import threading
import weakref

from . import build

#: one launch at a time, and no memory comes or goes meanwhile
LOCK = threading.RLock()


@functools.cache
def runtime() -> ctypes.CDLL:
    """The compiled runtime. What it exports, kernels find by name."""
    options = ("-O2", "-g1", "-pthread", "-ftls-model=initial-exec")
    made = build.library("runtime", build.runtime_text(), options)
    library = build.load(made, "the runtime", ctypes.RTLD_GLOBAL)
    library.sim_malloc.restype, library.sim_malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t, ctypes.c_int]
    library.sim_written.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    library.sim_arrays.restype = ctypes.c_size_t
    library.sim_free.argtypes = library.sim_mark.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


class Memory:
    """Some bytes of device memory, freed when the object is.

    Parameters
    ----------
    nbytes : int
    checked : bool
        Remember of each byte whether it was ever written, and by whom.

    Attributes
    ----------
    address : int
    buffer : ctypes array
        The same bytes for NumPy; whoever writes through it says so with :meth:`mark`.
    """

    def __init__(self, nbytes: int, checked: bool) -> None:
        self.nbytes, self.checked = nbytes, checked
        library, size = runtime(), max(nbytes, 1)
        with LOCK:
            self.address = library.sim_malloc(size, checked)
        if not self.address:
            raise MemoryError(
                f"the simulator has no {nbytes} bytes of memory left beside the {library.sim_arrays()} arrays that are "
                "alive; Linux also bounds the pieces of memory of a process (vm.max_map_count), two for each array"
            )
        weakref.finalize(self, _free, library, self.address, size)
        self.buffer = (ctypes.c_char * nbytes).from_address(self.address)

    def mark(self, offset: int = 0, nbytes: int | None = None) -> None:
        """These bytes were written, by the host."""
        if self.checked:
            with LOCK:
                runtime().sim_mark(self.address + offset, self.nbytes - offset if nbytes is None else nbytes)

    def written(self) -> bytes:
        """A byte for each: 1 if the host or a kernel has written it, or if this memory is not checked."""
        answer = ctypes.create_string_buffer(max(1, self.nbytes))
        with LOCK:
            runtime().sim_written(self.address, self.nbytes, answer)
        return answer.raw[: self.nbytes]


def _free(library: ctypes.CDLL, address: int, size: int) -> None:
    with LOCK:
        library.sim_free(address, size)
