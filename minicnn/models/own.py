"""A model out of the reader's own file: ``minicnn table mynet.py:Net``."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import pathlib
import sys
import types
from collections.abc import Callable

from ..errors import ArgumentError, FileError, suggest
from ..nn import Module

_neighbours: list[str] = []  # modules that the file read last imported from its own folder


def is_file(name: object) -> bool:
    """Whether a model's name means a file of Python, and something in it."""
    return isinstance(name, str) and ".py" in name and (name.endswith(".py") or ".py:" in name)


def path_of(name: str) -> tuple[pathlib.Path, str]:
    """The file and, ``""`` if left out, the name in it."""
    file, _, wanted = name.partition(".py:") if ".py:" in name else (name.removesuffix(".py"), "", "")
    return pathlib.Path(file + ".py").expanduser(), wanted


def stamp(name: str) -> tuple[int, int] | None:
    """What changes when the file is edited (time, bytes); None if there is no such file."""
    path, _ = path_of(name)
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None


def builder_from(name: str) -> Callable:
    """What ``FILE.py:NAME`` names: a class or function that takes ``num_classes`` and makes a Module.

    The file is run as by ``import``, and may import files beside it: name only files that you would run. ``:NAME`` may
    be left out if there is only one.

    Raises
    ------
    FileError, ArgumentError
        If there is no such file, it fails, or there is no such builder in it.
    """
    path, wanted = path_of(name)
    if not path.is_file():
        raise FileError(f"there is no file {path}; name a model as FILE.py:NAME")
    module = _run(path)
    own = {n: v for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__}
    found = {n: v for n, v in own.items() if callable(v) and "num_classes" in _parameters(v)}
    if wanted in found:
        return found[wanted]
    if isinstance(without := own.get(wanted), (type, types.FunctionType)):
        raise ArgumentError(f"{path}: {without.__name__} must take num_classes, the number of its outputs")
    if not found:
        models = [n for n, v in own.items() if isinstance(v, type) and issubclass(v, Module)]
        hint = f"; {', '.join(models)} must take num_classes" if models else ""
        raise ArgumentError(f"{path} has no class or function that takes num_classes and makes a model{hint}")
    if wanted:
        raise ArgumentError(f"{path} has no model {wanted!r}; {suggest(wanted, found)}")
    if len(found) > 1:
        raise ArgumentError(f"{path} has several models; name one of: {', '.join(f'{path}:{n}' for n in found)}")
    return next(iter(found.values()))


def _run(path: pathlib.Path) -> types.ModuleType:
    """The file as a module; the files beside it can be imported meanwhile, as when Python runs it."""
    whole = path.resolve()
    spec = importlib.util.spec_from_file_location(f"minicnn_own_{path.stem}", whole)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look there
    for name in _neighbours:  # of an earlier file: edited since, or of the same name in another folder
        sys.modules.pop(name, None)
    before, complaints = set(sys.modules), io.StringIO()
    sys.path.insert(0, str(whole.parent))
    try:
        # not exec_module: Python's cache of compiled files takes an edit within the same second for none
        with contextlib.redirect_stderr(complaints):  # argparse's usage
            exec(compile(whole.read_bytes(), str(whole), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        line = next((n for f, n in _lines(error) if f == str(whole)), None)
        where = f"{path}, line {line}" if line else path
        if isinstance(error, SystemExit):
            raise FileError(
                f"{where}: it ends Python ({error!r}) while it is read; put what is to run as a program, such as "
                f'argparse, under if __name__ == "__main__":'
            ) from error
        raise FileError(f"{where}: {type(error).__name__}: {error}") from error
    finally:
        with contextlib.suppress(ValueError):  # the file itself may have tidied up
            sys.path.remove(str(whole.parent))
        new = {n: getattr(sys.modules[n], "__file__", None) for n in set(sys.modules) - before}
        _neighbours[:] = [n for n, f in new.items() if f and whole.parent in pathlib.Path(f).parents]
    sys.stderr.write(complaints.getvalue())
    return module


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
