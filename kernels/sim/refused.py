"""What nvcc refuses and g++ would take, found in the text or in the compiled library."""

from __future__ import annotations

import os
import re

from . import build
from .symbols import shared_symbols
from .text import code_alone

STATIC_BYTES = 48 * 1024  # of shared memory that is declared with its size: the most on every GPU


def refuse_initialised(filename: str, source: str, active: str) -> None:
    """Refuse a ``__shared__`` variable with an initial value: each thread would set it, so CUDA lets none.

    Parameters
    ----------
    filename : str
    source : str
        The text, for messages.
    active : str
        The same without what the preprocessor drops.

    Raises
    ------
    CompileError
    """
    code = code_alone(active)
    for match in re.finditer(r"\b__shared__\b", code):
        at = _initialiser(code, match.end())
        if at is not None:
            raise build.CompileError(
                _in_line(
                    filename, source, code.count("\n", 0, at), "a __shared__ variable cannot be given a value where it "
                    "is declared; let one thread write it, then __syncthreads()"
                )
            )  # fmt: skip


def _initialiser(code: str, at: int) -> int | None:
    """Where the declaration that goes on at a place gives a value; None if it gives none."""
    depth = 0
    for i in range(at, len(code)):
        character = code[i]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and character == "{":
            return None if re.search(r"\b(struct|union|class)\b", code[at:i]) else i
        elif depth == 0 and character in ";}":
            return None
        elif depth == 0 and character == "=" and code[i + 1] != "=" and code[i - 1] not in "=!<>":
            return i
    return None


def refuse_large_static(filename: str, source: str, active: str, library: os.PathLike) -> None:
    """Refuse a kernel whose ``__shared__`` variables of fixed size are more than any GPU gives.

    Raises
    ------
    CompileError
    """
    sizes: dict[str, dict[str, int]] = {}  # function -> variable -> bytes
    for symbol in shared_symbols(library):
        if not symbol.guard:
            own = symbol.name.removeprefix("_ZZ").rpartition("E")[0] if symbol.name.startswith("_ZZ") else symbol.name
            sizes.setdefault(own, {})[symbol.plain] = symbol.size
    for variables in sizes.values():
        total = sum(variables.values())
        if total <= STATIC_BYTES:
            continue
        largest = max(variables, key=variables.get)
        listed = ", ".join(f"{name} {size}" for name, size in variables.items())
        found = re.search(rf"\b__shared__\b[^;]*?\b({re.escape(largest)})\s*\[", code_alone(active))
        line = code_alone(active).count("\n", 0, found.start(1)) if found else None
        raise build.CompileError(
            _in_line(
                filename, source, line, f"{total} bytes of static shared memory ({listed}), and a block has "
                f"{STATIC_BYTES}; take smaller tiles, or dynamic shared memory (extern __shared__)"
            )
        )  # fmt: skip


def _in_line(filename: str, source: str, line: int | None, what: str) -> str:
    """An error as the compiler words it; ``line`` counts from 0."""
    head = f"{filename} does not compile:\n"
    if line is None:
        return f"{head}{filename}: error: {what}"
    number = line + (0 if source.startswith("#line 1 ") else 1)
    return f"{head}{filename}:{number}: error: {what}\n{number:5} | {source.splitlines()[line]}"
