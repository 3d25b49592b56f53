"""``cupy.cuda``, as far as there is a device: one, on which everything has happened by the time a call returns.

Kernels run when they are launched, so streams and events have nothing to wait for; events still measure time.
"""

from __future__ import annotations

import contextlib
import os
import time
from types import SimpleNamespace

from ..memory import Memory
from .storage import OutOfMemoryError, allocate, used

__all__ = (
    "BaseMemory Device Event MemoryPointer MemoryPool Stream alloc driver get_current_stream get_elapsed_time "
    "is_available memory profile runtime"
).split()

# What every GPU of the last ten years takes: "Technical Specifications per Compute Capability" in NVIDIA's CUDA C++
# Programming Guide.
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_BLOCK = (1024, 1024, 64)
MAX_THREADS = 1024  # of one block
MAX_SHARED = 48 * 1024  # bytes of dynamic shared memory without permission
MAX_SHARED_OPT_IN = 227 * 1024  # with ``max_dynamic_shared_size_bytes``, on an H100
WARP_SIZE = 32


class CUDARuntimeError(RuntimeError):
    """What CuPy raises if the CUDA runtime refuses something."""


class CUDADriverError(RuntimeError):
    """What CuPy raises if the driver refuses something: an unknown kernel, a launch beyond the limits."""


def is_available() -> bool:
    """Whether there is a device: always, once this module can be imported."""
    return True


# -------------------------------------------------------------------- memory
class BaseMemory:
    """One allocation; ``.ptr`` is its address."""

    device_id = 0

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.ptr = memory.address if memory.nbytes else 0  # CuPy's pointer to nothing
        self.size = memory.nbytes

    device = property(lambda self: Device(0))


class MemoryPointer:
    """A place in an allocation, ``offset`` bytes from its start. Keeps the allocation alive."""

    device_id = 0

    def __init__(self, mem: BaseMemory, offset: int) -> None:
        self.mem, self.offset, self.ptr = mem, offset, mem.ptr + offset

    device = property(lambda self: Device(0))

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.offset + offset)

    def __sub__(self, offset: int) -> MemoryPointer:
        return self + -offset

    def __repr__(self) -> str:
        return f"<MemoryPointer {self.ptr:#x} device=0 mem={self.mem!r}>"


def alloc(size: int) -> MemoryPointer:
    """New device memory, not initialised."""
    return MemoryPointer(BaseMemory(allocate(size)), 0)


class MemoryPool:
    """What is allocated, and its limit. There is no stock of free blocks: memory goes back at once."""

    def used_bytes(self) -> int:
        return used.nbytes

    total_bytes = used_bytes

    def free_bytes(self) -> int:
        return 0

    def n_free_blocks(self) -> int:
        return 0

    def free_all_blocks(self, stream=None) -> None:
        """Nothing is held back, so there is nothing to free."""

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Refuse allocations beyond ``size`` bytes, or ``fraction`` of the machine's memory, in all; 0: no limit."""
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at the same time")
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"memory limit fraction out of range: {fraction} should be in range [0, 1]")
        used.limit = int(size or 0) if fraction is None else int(fraction * _memory_of_machine()[1])

    def get_limit(self) -> int:
        return used.limit


_pool = MemoryPool()


def get_default_memory_pool() -> MemoryPool:
    return _pool


def _memory_of_machine() -> tuple[int, int]:
    """(available, total) in bytes: the device has the machine's."""
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page


memory = SimpleNamespace(
    OutOfMemoryError=OutOfMemoryError,
    BaseMemory=BaseMemory,
    MemoryPointer=MemoryPointer,
    MemoryPool=MemoryPool,
    alloc=alloc,
)


# -------------------------------------------------------------------- device
class Device:
    """The simulator's one device, number 0."""

    def __init__(self, device: int | None = None) -> None:
        self.id = int(0 if device is None else device)

    def use(self) -> None:
        self._check()

    def __enter__(self) -> Device:
        self._check()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """There is no other device to go back to."""

    def _check(self) -> None:
        if self.id != 0:
            raise CUDARuntimeError(f"cudaErrorInvalidDevice: invalid device ordinal {self.id}; there is only 0")

    def synchronize(self) -> None:
        """Every launch has ended already."""
        self._check()

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        """(free, total) bytes."""
        return _memory_of_machine()

    @property
    def attributes(self) -> dict[str, int]:
        return {
            "MaxThreadsPerBlock": MAX_THREADS,
            **{f"MaxBlockDim{axis}": limit for axis, limit in zip("XYZ", MAX_BLOCK)},
            **{f"MaxGridDim{axis}": limit for axis, limit in zip("XYZ", MAX_GRID)},
            "MaxSharedMemoryPerBlock": MAX_SHARED,
            "MaxSharedMemoryPerBlockOptin": MAX_SHARED_OPT_IN,
            "WarpSize": WARP_SIZE,
            "MultiProcessorCount": os.cpu_count() or 1,
            "ComputeCapabilityMajor": 9,
            "ComputeCapabilityMinor": 0,
        }

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


def _device_properties(device: int) -> dict:
    Device(device)._check()
    return {
        "name": b"CUDA on the CPU (simulator)",
        "totalGlobalMem": _memory_of_machine()[1],
        "multiProcessorCount": os.cpu_count() or 1,
        "warpSize": WARP_SIZE,
        "maxThreadsPerBlock": MAX_THREADS,
        "maxGridSize": MAX_GRID,
        "maxThreadsDim": MAX_BLOCK,
        "sharedMemPerBlock": MAX_SHARED,
        "sharedMemPerBlockOptin": MAX_SHARED_OPT_IN,
        "major": 9,
        "minor": 0,
    }


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: 1,
    getDevice=lambda: 0,
    setDevice=lambda device: Device(device).use(),
    deviceSynchronize=lambda: None,
    getDeviceProperties=_device_properties,
    memGetInfo=_memory_of_machine,
    runtimeGetVersion=lambda: 13000,
    driverGetVersion=lambda: 13000,
    is_hip=False,
)
driver = SimpleNamespace(CUDADriverError=CUDADriverError)


# -------------------------------------------------------------------- streams and events
class Event:
    """A moment: when it was recorded."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._timed, self._time = not disable_timing, None

    done = True  # whatever was launched before it

    def record(self, stream: Stream | None = None) -> None:
        self._time = time.perf_counter()

    def synchronize(self) -> None:
        """It has happened already."""


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two events."""
    for event in (start_event, end_event):
        if event._time is None or not event._timed:
            raise CUDARuntimeError("cudaErrorInvalidResourceHandle: an event was not recorded, or without timing")
    return (end_event._time - start_event._time) * 1e3


class Stream:
    """A queue of work that is always empty: launches run when they are made."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int | None = None):
        self.null_stream, self.ptr, self.device_id = null, 0, 0
        self._before: list[Stream] = []

    done = True

    def use(self) -> Stream:
        global _current
        _current = self
        return self

    def __enter__(self) -> Stream:
        self._before.append(_current)
        return self.use()

    def __exit__(self, *exc_info: object) -> None:
        self._before.pop().use()

    def synchronize(self) -> None:
        """Nothing is left to do."""

    def record(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """It has happened already."""

    def launch_host_func(self, callback, arg) -> None:
        callback(arg)


Stream.null = _current = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    return _current


@contextlib.contextmanager
def profile():
    """``cupy.cuda.profile``: there is no profiler to switch on."""
    yield
