"""Check mode for arrays that were made before it was switched on: they have no shadow that remembers writes.

A checked kernel gets shadowed copies of their memory, all written, and what it wrote goes back after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..memory import Memory
from .border import DeviceArray
from .cuda import MemoryPointer


@contextlib.contextmanager
def shadowed(module, args, values: list) -> Iterator[list]:
    """The values of a launch, with the addresses of shadowed copies where the memory has no shadow of its own."""
    unshadowed = {}  # one copy for each allocation: arrays that share memory still do
    for value in args if module.check else ():
        memory = _memory_of(value)
        if memory is not None and memory.nbytes and not memory.checked:
            unshadowed[memory.address] = memory
    if not unshadowed:
        yield values
        return
    copies = {address: _copy(memory) for address, memory in unshadowed.items()}
    moved = list(values)
    for i, value in enumerate(args):
        memory = _memory_of(value)
        if memory is not None and memory.address in copies:
            moved[i] += copies[memory.address].address - memory.address
    try:
        yield moved
    finally:
        for address, memory in unshadowed.items():
            memory.buffer[:] = copies[address].buffer[:]


def _memory_of(value) -> Memory | None:
    if isinstance(value, DeviceArray):
        return value._memory
    return value.mem.memory if isinstance(value, MemoryPointer) else None


def _copy(memory: Memory) -> Memory:
    copy = Memory(memory.nbytes, checked=True)
    copy.buffer[:] = memory.buffer[:]
    copy.mark()
    return copy
