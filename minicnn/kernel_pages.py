"""Kernels as text to read: the list of all, and one in its rooms side by side."""

from __future__ import annotations

import importlib
import inspect
import pathlib
import re

from . import columns, kernels
from .kernel_check import find
from .kernels.cuda import launcher

ROOMS = ("plain", "cpu", "cuda")
GAP = " │ "


def listing() -> str:
    """One row for each kernel: its name, its file in the three rooms, the CUDA kernels that it launches."""
    rows = [
        (kernel.name, f"{kernel.file}.py", f"{kernel.file}.py", ", ".join(_launched(kernel)) or "cuBLAS")
        for kernel in kernels.KERNELS.values()
    ]
    head = ("kernel", "kernels/plain", "kernels/cpu", "kernels/cuda")
    return "\n".join(columns.text(head, rows))


def _launched(kernel: kernels.Kernel) -> list[str]:
    """The CUDA kernels that a wrapper names, as file: kernel."""
    text = inspect.getsource(kernel.function("cuda"))
    module = importlib.import_module(kernel.function("cuda").__module__)
    declared = {name: value for name, value in vars(module).items() if isinstance(value, launcher.Kernel)}
    return [f"{d.file}: {d.name}" for name, d in declared.items() if re.search(rf"\b{name}\b", text)]


def page(name: str, room: str | None = None, width: int = 100, colour: bool = False) -> str:
    """The text of a kernel, in one room or in all of them.

    Parameters
    ----------
    name : str
        As in ``kernels.KERNELS``.
    room : {"plain", "cpu", "cuda"}, optional
    width : int
        Characters in a line of the terminal.
    colour : bool
        Highlighted for a terminal, if Pygments is installed.
    """
    kernel = find(name)
    texts = {one: _text(kernel, one) for one in (ROOMS if room is None else (room,))}
    longest = {one: max(map(len, text.expandtabs(4).splitlines())) for one, text in texts.items()}
    if sum(longest.values()) + len(GAP) * (len(texts) - 1) > width:
        return "\n\n".join(f"{_head(one, kernel)}\n{_coloured(one, text, colour)}" for one, text in texts.items())
    return "\n".join(
        _beside([(f"{_head(one, kernel)}\n{text}", one, longest[one]) for one, text in texts.items()], colour)
    )


def _head(room: str, kernel: kernels.Kernel) -> str:
    return f"── {room}: kernels/{room}/{kernel.file}.{'cu' if room == 'cuda' else 'py'} "


def _text(kernel: kernels.Kernel, room: str) -> str:
    if room != "cuda":
        return inspect.getsource(kernel.function(room)).rstrip()
    wrapper = inspect.getsource(kernel.function("cuda")).rstrip()
    cu = pathlib.Path(launcher.__file__).with_name(f"{kernel.file}.cu")
    return f"{wrapper}\n\n{cu.read_text(encoding='utf-8').rstrip()}" if cu.exists() else wrapper


def _beside(texts: list[tuple[str, str, int]], colour: bool) -> list[str]:
    blocks = []
    for text, room, width in texts:
        lines = text.expandtabs(4).splitlines()
        blocks.append(
            ([line.ljust(width) for line in lines], _coloured(room, "\n".join(lines), colour).splitlines(), width)
        )
    rows = max(len(plain) for plain, _, _ in blocks)
    return [
        GAP.join(
            (shown[i] + " " * (width - len(plain[i].rstrip())) if i < len(plain) else " " * width)
            for plain, shown, width in blocks
        ).rstrip()
        for i in range(rows)
    ]


def _coloured(room: str, text: str, colour: bool) -> str:
    if not colour:
        return text
    try:
        from pygments import formatters, highlight, lexers
    except ImportError:  # an extra: the text is the same without
        return text
    lexer = lexers.CppLexer(stripnl=False) if room == "cuda" else lexers.PythonLexer(stripnl=False)
    return highlight(text, lexer, formatters.TerminalFormatter()).rstrip("\n")
