"""Where compiled kernels are kept between runs: a folder that may be deleted at any time, or none."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path


def writable_folder(place: Callable[[], Path], what: str, variable: str) -> Path | None:
    """A folder to keep compiled kernels in, made if need be; None, after one warning, if it cannot be written.

    Parameters
    ----------
    place : callable
        Says where; without a home folder it may raise RuntimeError, as ``pathlib.Path.home`` does.
    what : str
        What is to be kept, for the warning: "compiled kernels".
    variable : str
        The environment variable that names another folder.
    """
    try:
        folder = place()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError) as problem:
        warnings.warn(
            f"{what} cannot be kept between runs ({problem}); every run will compile them again. "
            f"Set {variable} to a folder that can be written.",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    return folder
