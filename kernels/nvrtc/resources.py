"""What a compiled kernel needs of a multiprocessor: read from the lines that ptxas writes into NVRTC's log."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """What one kernel needs, for one architecture.

    Attributes
    ----------
    registers : int
        Of 4 bytes, for each thread.
    shared : int
        Bytes of static shared memory, for each block.
    spill_stores, spill_loads : int
        Bytes of registers' contents that each thread moves to local memory, which is device memory, and back: more
        was alive at once than there were registers for.
    stack : int
        Bytes of local memory for each thread: spilled registers, arrays with an index that is not known when compiling.
    barriers : int
        Barriers of the block; a kernel with ``__syncthreads()`` has one.
    """

    registers: int
    shared: int = 0
    spill_stores: int = 0
    spill_loads: int = 0
    stack: int = 0
    barriers: int = 0


_KERNEL = re.compile(r"Compiling entry function '([^']+)' for '\w+'")
_USED = {  # of the text that follows until the next kernel
    "registers": r"Used (\d+) registers",
    "shared": r"(\d+) bytes smem",
    "spill_stores": r"(\d+) bytes spill stores",
    "spill_loads": r"(\d+) bytes spill loads",
    "stack": r"(\d+) bytes stack frame",
    "barriers": r"used (\d+) barriers",
}


def read(log: str) -> dict[str, Resources]:
    """From NVRTC's log with ``--ptxas-options=-v``: what each kernel needs, by its name in the compiled program.

    Raises
    ------
    ValueError
        If a kernel's registers are missing: another ptxas writes other lines.
    """
    found = {}
    parts = _KERNEL.split(log)[1:]
    for name, said in zip(parts[::2], parts[1::2]):
        numbers = {what: re.search(pattern, said) for what, pattern in _USED.items()}
        if numbers["registers"] is None or numbers["stack"] is None:
            raise ValueError(f"ptxas does not say how many registers {name} uses, but: {said.strip()!r}")
        found[name] = Resources(**{what: int(match[1]) for what, match in numbers.items() if match})
    return found
