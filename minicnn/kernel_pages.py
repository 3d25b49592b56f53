"""Kernels as text to read: the list of all, and one in its rooms side by side."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Callable
from types import ModuleType

from . import columns, kernels
from .kernel_check import find
from .kernels.cuda import launcher

ROOMS = ("plain", "cpu", "cuda")
GAP = " │ "


def listing(width: int | None = None) -> str:
    """One row for each kernel: its name, its file in the rooms, and what its CUDA wrapper launches.

    Parameters
    ----------
    width : int, optional
        Characters in a line. What is launched goes on below where the line is full; where there is no room for a
        column of it, it stands below the kernel's name. None: one line for each kernel, however long.
    """
    found = {kernel: _launched(kernel) for kernel in kernels.KERNELS.values()}
    head = ("kernel", "in each room", "launches")
    if width is None:
        rows = [(kernel.name, f"{kernel.file}.py", ", ".join(launched)) for kernel, launched in found.items()]
        return "\n".join(columns.text(head, rows))
    names = max(len(kernel.name) for kernel in found)
    before = names + max(len(f"{kernel.file}.py") for kernel in found) + 2 * len("  ")
    longest = max(len(one) + 1 for launched in found.values() for one in launched)
    beside = before + longest <= width
    rows = []
    for kernel, launched in found.items():
        first, *more = _filled(launched, width - before if beside else width - 2)
        if beside:
            rows += [(kernel.name, f"{kernel.file}.py", first), *(("", "", line) for line in more)]
        else:
            rows += [(kernel.name, f"{kernel.file}.py"), *((f"  {line}", "") for line in (first, *more))]
    return "\n".join(columns.text(head, rows) if beside else (f"{a:{names}}  {b}".rstrip() for a, b in rows))


def _filled(parts: list[str], width: int) -> list[str]:
    """The parts with commas between them, in lines that are no longer than ``width`` where a part allows it."""
    lines = [""]
    for part in [f"{one}," for one in parts[:-1]] + parts[-1:]:
        fits = not lines[-1] or len(lines[-1]) + 1 + len(part) <= width
        lines[-1:] = [f"{lines[-1]} {part}".strip()] if fits else [lines[-1], part]
    return lines


def _launched(kernel: kernels.Kernel) -> list[str]:
    """The CUDA kernels behind a wrapper, as file: kernel, and whether it multiplies matrices."""
    found = reached(kernel.function("cuda"))
    ours = [f"{value.file}: {value.name}" for value in found if isinstance(value, launcher.Kernel)]
    products = any("matmul" in value.__code__.co_names for value in found if inspect.isfunction(value))
    return [*dict.fromkeys(ours), *(["cupy.matmul"] if products else [])]


def reached(function: Callable) -> list:
    """The function, and the functions and kernels of its room that it names, directly or through others."""
    package = function.__module__.rpartition(".")[0]
    found, waiting = [], [function]
    while waiting:
        value = waiting.pop(0)
        value = getattr(value, "py_func", value)  # what Numba compiled
        if any(value is one for one in found):
            continue
        found.append(value)
        if inspect.isfunction(value) and value.__module__.startswith(package):
            waiting += _named(value)
    return found


def _named(function: Callable) -> list:
    """Functions and kernels that a function's code names, also as ``module.function``."""
    names = function.__code__.co_names
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    modules = [value for value in values if isinstance(value, ModuleType) and "kernels" in value.__name__]
    values += [getattr(module, name) for module in modules for name in names if hasattr(module, name)]
    return [v for v in values if isinstance(v, launcher.Kernel) or inspect.isfunction(getattr(v, "py_func", v))]


def page(name: str, room: str | None = None, width: int = 100, colour: bool = False) -> str:
    """The text of a kernel, in one room or in all of them.

    Parameters
    ----------
    name : str
        As in ``kernels.KERNELS``.
    room : {"plain", "cpu", "cuda"}, optional
    width : int
        Characters in a line of the terminal; where the rooms do not fit beside each other, they stand one below the
        other.
    colour : bool
        Highlighted for a terminal, if Pygments is installed.
    """
    kernel = find(name)
    texts = {one: _text(kernel, one) for one in (ROOMS if room is None else (room,))}
    widths = {one: max(len(line) for line in text.splitlines()) for one, text in texts.items()}
    if len(texts) > 1 and sum(widths.values()) + len(GAP) * (len(texts) - 1) <= width:
        return _side_by_side(texts, widths, colour)
    return "\n\n".join(_coloured(one, text, colour) for one, text in texts.items())


def _text(kernel: kernels.Kernel, room: str) -> str:
    """A room's function with its helpers in the same file; behind a CUDA wrapper, its .cu files."""
    function = kernel.function(room)
    own = [f for f in reached(function) if inspect.isfunction(f) and f.__module__ == function.__module__]
    own.sort(key=lambda f: f.__code__.co_firstlineno)
    parts = [f"# {room}: kernels/{room}/{kernel.file}.py", *(inspect.getsource(f).rstrip() for f in own)]
    if room == "cuda":
        files = dict.fromkeys(v.file for v in reached(function) if isinstance(v, launcher.Kernel))
        for file in files:
            text = pathlib.Path(launcher.__file__).with_name(file).read_text(encoding="utf-8").rstrip()
            parts.append(f"// kernels/cuda/{file}\n{text}")
    return "\n\n".join(parts).expandtabs(4)


def _side_by_side(texts: dict[str, str], widths: dict[str, int], colour: bool) -> str:
    plain = {room: text.splitlines() for room, text in texts.items()}
    shown = {room: _coloured(room, text, colour).splitlines() for room, text in texts.items()}
    lines = []
    for i in range(max(map(len, plain.values()))):
        cells = []
        for room, width in widths.items():
            there = i < len(plain[room])
            cells.append((shown[room][i] if there else "") + " " * (width - (len(plain[room][i]) if there else 0)))
        lines.append(GAP.join(cells).rstrip())
    return "\n".join(lines)


def _coloured(room: str, text: str, colour: bool) -> str:
    if not colour:
        return text
    try:
        from pygments import formatters, highlight, lexers
    except ImportError:  # an extra: the text is the same without
        return text
    lexer = (lexers.CppLexer if room == "cuda" else lexers.PythonLexer)(stripnl=False)
    return highlight(text, lexer, formatters.TerminalFormatter()).rstrip("\n")
