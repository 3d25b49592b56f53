"""A model out of the reader's own file: ``minicnn table mynet.py:Net``."""

from __future__ import annotations

import importlib.util
import inspect
import pathlib
import sys
from collections.abc import Callable

from ..errors import ArgumentError, FileError, suggest


def is_file(name: object) -> bool:
    """Whether a model's name means a file of Python, and something in it."""
    return isinstance(name, str) and ".py" in name and (name.endswith(".py") or ".py:" in name)


def builder_from(name: str) -> Callable:
    """What ``FILE.py:NAME`` names: a class or function that takes ``num_classes`` and makes a Module.

    The file is run as by ``import``: name only files that you would run. ``:NAME`` may be left out if there is only
    one.

    Raises
    ------
    FileError, ArgumentError
        If there is no such file, it fails, or there is no such builder in it.
    """
    file, _, wanted = name.partition(".py:") if ".py:" in name else (name.removesuffix(".py"), "", "")
    path = pathlib.Path(file + ".py").expanduser()
    if not path.is_file():
        raise FileError(f"there is no file {path}; name a model as FILE.py:NAME")
    spec = importlib.util.spec_from_file_location(f"minicnn_own_{path.stem}", path.resolve())
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = next((n for f, n in _lines(error) if f == str(path.resolve())), None)
        where = f"{path}, line {line}" if line else path
        raise FileError(f"{where}: {type(error).__name__}: {error}") from error
    found = {n: v for n, v in vars(module).items() if _takes_classes(v) and v.__module__ == spec.name}
    if not found:
        raise ArgumentError(f"{path} has no class or function that takes num_classes and makes a model")
    if not wanted and len(found) == 1:
        return next(iter(found.values()))
    if wanted not in found:
        raise ArgumentError(f"{path} has no model {wanted!r}; {suggest(wanted, found)}")
    return found[wanted]


def _takes_classes(value: object) -> bool:
    return callable(value) and hasattr(value, "__module__") and "num_classes" in _parameters(value)


def _parameters(value) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(value).parameters)
    except (TypeError, ValueError):  # some built-ins have no signature
        return ()


def _lines(error: BaseException) -> list[tuple[str, int]]:
    """Files and lines of a traceback, innermost first; a syntax error has its own."""
    if isinstance(error, SyntaxError):
        return [(error.filename or "", error.lineno or 0)]
    found, at = [], error.__traceback__
    while at is not None:
        found.append((at.tb_frame.f_code.co_filename, at.tb_lineno))
        at = at.tb_next
    return found[::-1]
