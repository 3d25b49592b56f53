"""The names that g++ gave to a block's static shared memory, read off the compiled library (its ELF symbol table)."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

_SYMTAB, _TLS = 2, 6


@dataclass(frozen=True)
class Symbol:
    """A ``__shared__`` variable: where it lies in the block's static shared memory."""

    name: str  # as the linker has it
    offset: int
    size: int

    @property
    def guard(self) -> bool:
        """C++'s own note whether a variable has been initialised; CUDA has none, for it never initialises."""
        return self.name.startswith("_ZGV")

    @property
    def plain(self) -> str:
        """The name in the .cu file: of ``_ZZ1kE4tile``, ``tile``."""
        last = re.search(r"(\d+)([A-Za-z_]\w*?)(?:_\d+)?$", self.name)
        return last[2][: int(last[1])] if last else self.name


def shared_symbols(library: os.PathLike) -> list[Symbol]:
    """All thread-local variables of an ELF library."""
    with open(library, "rb") as file:
        data = file.read()
    begin, size, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, begin + i * size) for i in range(count)]
    found = []
    for section in sections:
        if section[1] != _SYMTAB:
            continue
        strings = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, where, value, length = struct.unpack_from("<IBBHQQ", data, at)
            if info & 15 == _TLS and where:
                text = data[strings + name : data.index(b"\0", strings + name)]
                found.append(Symbol(text.decode(errors="replace"), value, length))
    return found
