"""What crossed the border between host and device, and which kernels were launched: for tests, and to learn from.

CuPy has nothing like it. A training step should copy its batch to the device and nothing else; a loss that is printed
after every step costs a copy back, and with it the wait for all kernels before it.
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


transfers = Record()
launches = Record()


def to_device(name: str, nbytes: int) -> None:
    transfers.add(Transfer(name, int(nbytes), "to device"))


def to_host(name: str, nbytes: int) -> None:
    transfers.add(Transfer(name, int(nbytes), "to host"))
