"""Where a kernel's "compiling ..." line goes: to stderr, or to whoever is drawing a progress bar there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_write: Callable[[str], None] = _to_stderr


def announce(line: str) -> None:
    """Tell the user something that takes a while."""
    _write(line)


@contextlib.contextmanager
def announced_by(write: Callable[[str], None]) -> Iterator[None]:
    """In this block lines are given to ``write``, such as a progress bar's own, which knows how to make room."""
    global _write
    before, _write = _write, write
    try:
        yield
    finally:
        _write = before
