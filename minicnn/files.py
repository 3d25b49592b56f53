"""Writing files so that a crash leaves the old one, never half a new one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from .errors import FileError


def kind_of(path: str | os.PathLike) -> str | None:
    """ "file" or "folder", also behind a link; None for what is neither, what is not there, and an impossible name."""
    try:
        path = pathlib.Path(path) if os.fspath(path) else None  # "" would be the current folder
        return None if path is None else "folder" if path.is_dir() else "file" if path.is_file() else None
    except (OSError, ValueError):  # too long, or with a null byte in it
        return None


def named(path: str | os.PathLike) -> str:
    """A path for a message: quoted if it is nothing, cut if it is endless."""
    text = str(path)
    return repr(text) if not text else text if len(text) < 200 else f"{text[:90]}...{text[-30:]}"


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """What the operating system refuses inside this block becomes a FileError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot write {named(path)}: {error.strerror or error}; choose another path") from None


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A temporary name beside ``path`` to write to; renamed to ``path`` when the block ends well, removed otherwise."""
    path = pathlib.Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = pathlib.Path(name)
        try:
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Delete the temporary files of :func:`replacing` that a killed process left in ``folder``."""
    for path in pathlib.Path(folder).glob(".*-????????.*"):
        path.unlink(missing_ok=True)


def fresh_folder(path: str | os.PathLike) -> pathlib.Path:
    """Make ``path``, or ``path-2``, ``path-3`` ... if it is there already: earlier runs are never written over."""
    path = pathlib.Path(path)
    if not path.name:
        raise FileError(f"{str(path)!r} cannot be a new folder; give it a name, such as runs/mine")
    number, folder = 1, path
    while True:
        with writing(folder):
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                number += 1
                folder = path.with_name(f"{path.name}-{number}")


def free_name(path: str | os.PathLike) -> pathlib.Path:
    """``path``, or ``path-2``, ``path-3`` ... before its suffix, if there are files of that name already."""
    path = pathlib.Path(path)
    if not path.name:
        raise FileError(f"{str(path)!r} cannot be a new file; give it a name")
    number, free = 1, path
    with writing(path):
        while free.exists():
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
    return free
