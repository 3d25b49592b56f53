"""Experiments by name or number."""

from __future__ import annotations

import importlib
import pkgutil

from ..errors import ArgumentError, suggest
from .base import NAMED, Experiment, parts


def _modules() -> dict[str, str]:
    """Name of an experiment -> name of its file, in order of their numbers."""
    package = importlib.import_module(__package__)
    files = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if NAMED.fullmatch(m.name))
    return {parts(file)[1]: file for file in files}


def names() -> list[str]:
    """All experiments, in order of their numbers."""
    return list(_modules())


def get(name: str) -> Experiment:
    """An experiment by its name, "receptive-field", or its number, "E1".

    Raises
    ------
    ArgumentError
        If there is none; the message names those like it.
    """
    modules = _modules()
    numbers = {parts(file)[0].lower(): file for file in modules.values()}
    file = modules.get(name) or numbers.get(str(name).lower())
    if file is None:
        raise ArgumentError(f"there is no experiment {name!r}; {suggest(name, modules)}")
    return importlib.import_module(f".{file}", __package__).EXPERIMENT
