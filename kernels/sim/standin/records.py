"""What crossed the border between host and device, what was launched and allocated: for tests, and to learn from.

CuPy has nothing like it. A training step should copy its batch to the device and its loss back, and nothing else: each
copy back is a wait for all kernels before it. On a GPU each of CuPy's own operations (a sum, ``a + b``, a copy in
another layout, a product by cuBLAS) is a launch as well.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

REMEMBERED = 10_000  # entries; a training run makes millions


class Transfer(NamedTuple):
    """One copy between host and device."""

    name: str  # the operation: "asarray", "get", "set", "item", "index", ...
    nbytes: int
    direction: str  # "to device" or "to host"


class Launch(NamedTuple):
    """One launch of a kernel."""

    name: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared_mem: int  # bytes of dynamic shared memory for each block


class Operation(NamedTuple):
    """One of CuPy's own operations on arrays, by the name of NumPy's that computes it here.

    On a GPU it is one launch for what goes element by element, one or two for a sum over an axis or a product, and more
    for what sorts or searches: counted as one, they are the least that can be.
    """

    name: str


class Allocation(NamedTuple):
    """One piece of device memory. CuPy takes it from its pool, which asks the driver for new memory where it must."""

    nbytes: int


class Record:
    """The last entries, how many there were in all, and :meth:`collect` for those of a ``with`` block."""

    def __init__(self) -> None:
        self._last: deque = deque(maxlen=REMEMBERED)
        self._collecting: list[list] = []
        self._lock = threading.Lock()
        self.count = 0

    def add(self, entry: NamedTuple) -> None:
        with self._lock:
            self.count += 1
            self._last.append(entry)
            for collected in self._collecting:
                collected.append(entry)

    @contextlib.contextmanager
    def collect(self) -> Iterator[list]:
        """All entries that are made in this block, in a list that grows meanwhile."""
        collected: list = []
        with self._lock:
            self._collecting.append(collected)
        try:
            yield collected
        finally:
            with self._lock:  # by identity: two empty lists are equal
                self._collecting = [other for other in self._collecting if other is not collected]

    def clear(self) -> None:
        with self._lock:
            self.count = 0
            self._last.clear()

    def __iter__(self) -> Iterator:
        return iter(tuple(self._last))

    def __len__(self) -> int:
        return len(self._last)

    def __getitem__(self, index):
        return tuple(self._last)[index]

    def __repr__(self) -> str:
        return f"<{self.count} entries, the last {len(self)} remembered>"


transfers, launches, operations, allocations = Record(), Record(), Record(), Record()


def to_device(name: str, nbytes: int) -> None:
    transfers.add(Transfer(name, int(nbytes), "to device"))


def to_host(name: str, nbytes: int) -> None:
    transfers.add(Transfer(name, int(nbytes), "to host"))


def operation(name: str) -> None:
    operations.add(Operation(name))


def waited_for(name: str, nbytes: int = 8) -> None:
    """An operation whose result's size only the device knows: CuPy copies that number to the host, and waits for it."""
    transfers.add(Transfer(name, nbytes, "to host"))
