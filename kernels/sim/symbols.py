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
        """The name in the .cu file: of ``_ZZ1kE4tile``, which is a local variable of the function k, ``tile``."""
        for ending in re.finditer(r"(?=[EL](\d+)([A-Za-z_]\w*)$)", self.name):
            length, rest = int(ending[1]), ending[2]
            if re.fullmatch(r"(_\d+_?)?", rest[length:]):  # the second one of this name in its function has a number
                return rest[:length]
        return self.name


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


def name_shared(sentence: str, library: os.PathLike) -> str:
    """A report's "shared memory at byte 260" as "shared memory at byte 4 of tile"."""

    def named(match: re.Match) -> str:
        at = int(match[1])
        for symbol in shared_symbols(library):
            if symbol.offset <= at < symbol.offset + symbol.size:
                return f"shared memory at byte {at - symbol.offset} of {symbol.plain}"
        return match[0]

    return re.sub(r"(?<!dynamic )shared memory at byte (\d+)", named, sentence)
