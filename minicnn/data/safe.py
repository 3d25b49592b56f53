"""Reading what strangers packed: pickles that cannot run code, archives that cannot write outside their folder."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import pathlib
import pickle
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator

import numpy as np

from ..errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: what reading a damaged archive raises
BROKEN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError)


# Pickles -------------------------------------------------------------------------------------------------------------
class _Dtype:
    """Stands for numpy.dtype: only unsigned bytes are known."""

    def __init__(self, kind, *_) -> None:
        if not isinstance(kind, (str, bytes)) or kind not in ("u1", b"u1", "|u1", b"|u1"):
            raise DataError(f"it holds an array of {_short(kind)}, but only unsigned bytes (u1) are allowed")

    def __setstate__(self, state) -> None:
        pass  # byte order and the like, which a byte does not have


class _Bytes:
    """Stands for numpy.ndarray: NumPy's own reconstruction is not let near a stranger's numbers."""

    array: np.ndarray | None = None

    def __setstate__(self, state) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise DataError("it holds an array that is not of bytes")
        self.array = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


def _short(value) -> str:
    """A stranger's value in a message: what is no text may be of any size when written out."""
    return repr(value[:40]) if isinstance(value, (str, bytes)) else type(value).__name__


def _text_to_bytes(text, encoding) -> bytes:
    """What protocol 2 of Python 3 makes of bytes."""
    if encoding not in ("latin1", b"latin1"):
        raise DataError(f"it holds text in the encoding {_short(encoding)}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Bytes(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Bytes(),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _text_to_bytes,
    ("__builtin__", "bytes"): lambda: b"",
    ("builtins", "bytes"): lambda: b"",
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in _ALLOWED:
            raise DataError(f"it asks for {module}.{name}, which no data set needs and which could run code")
        target = _ALLOWED[module, name]
        # A pickle may set attributes of what it is given, so it gets a fresh function, never the thing itself.
        return target and (lambda *arguments: target(*arguments))

    def persistent_load(self, pid):
        raise DataError("it refers to an object outside itself")


def unpickle(raw: bytes, where: str):
    """Read a pickle that may hold dict, list, tuple, bytes, str, numbers and NumPy arrays of bytes, and nothing else.

    Text of Python 2 becomes bytes. Arrays are had from the outermost dict.

    Parameters
    ----------
    raw : bytes
    where : str
        Named in messages.

    Raises
    ------
    DataError
        It holds something else, which is named, or is damaged. Nothing of it was run.
    """
    try:
        value = _Unpickler(io.BytesIO(raw), encoding="bytes").load()
        # Not deeper: nested lists that hold each other many times have no end worth waiting for.
        return {k: v.array if isinstance(v, _Bytes) else v for k, v in value.items()} if type(value) is dict else value
    except DataError as error:
        raise DataError(f"{where} is refused: {error}") from None
    except Exception as error:  # a damaged pickle raises almost anything
        raise DataError(f"{where} is no pickle, or damaged ({type(error).__name__}: {error})") from None


# Archives ------------------------------------------------------------------------------------------------------------
def members(archive: str | os.PathLike) -> Iterator[tuple[tarfile.TarInfo, io.BufferedReader | None]]:
    """Each member of a .tar.gz in turn, with its open content (None for what is no plain file).

    Of a damaged archive, going on and reading contents raise what is in ``BROKEN``.
    """
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            yield member, tar.extractfile(member) if member.isreg() else None


def extract(archive: str | os.PathLike, folder: str | os.PathLike, inner: str = "", limit: int = 8 * 2**30) -> None:
    """Unpack a .tar.gz into a new folder: all of it, or nothing.

    Parameters
    ----------
    archive : path-like
    folder : path-like
        Is made; unpacking goes on under a temporary name beside it. What killed processes left of that is removed.
    inner : str
        The folder in the archive that becomes ``folder``.
    limit : int
        Bytes that it may unpack to.

    Raises
    ------
    DataError
        The archive is damaged, too large, or has a member that is no plain file or folder inside it: an absolute path,
        "..", a link, a device. Nothing is left behind.
    """
    folder = pathlib.Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _clean(folder.parent, f".{folder.name}-unpacking-") as prefix:
            temporary = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
            try:
                _unpack(archive, temporary, inner, limit)
                temporary.chmod(0o755)  # mkdtemp makes private folders
                _rename(temporary / inner, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except BROKEN as error:
        if getattr(error, "errno", None) is not None:  # the operating system's: no room, no right to write
            raise DataError(f"{archive} cannot be unpacked into {folder}: {error.strerror}") from None
        raise DataError(f"{archive} cannot be read ({error}); it is cut off or no .tar.gz, fetch it again") from None


def _unpack(archive: str | os.PathLike, temporary: pathlib.Path, inner: str, limit: int) -> None:
    total = 0
    for member, content in members(archive):
        target = temporary / _inside(member, archive)
        total += member.size
        if total > limit:
            raise DataError(f"{archive} unpacks to more than {limit} bytes; that is not the published archive")
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as file:
            shutil.copyfileobj(content, file)
    if not (temporary / inner).is_dir():
        raise DataError(f"{archive} has no folder {inner}; that is not the published archive")


def _rename(source: pathlib.Path, folder: pathlib.Path) -> None:
    try:
        source.rename(folder)
    except OSError:
        if not folder.is_dir():  # it is there if another process was faster
            raise


@contextlib.contextmanager
def _clean(parent: pathlib.Path, prefix: str) -> Iterator[str]:
    """Remove the temporary folders that processes left which were killed while unpacking; gives the prefix.

    Whoever unpacks holds a shared lock on the folder around; the operating system takes it from a process that dies.
    Who gets the lock for itself alone therefore knows that nobody is unpacking here, and that what is there is left
    over.
    """
    if fcntl is None:
        yield prefix
        return
    handle = os.open(parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # others are unpacking, or this file system knows no locks: nothing to do
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in [path for path in parent.iterdir() if path.name.startswith(prefix)]:
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield prefix
    finally:
        os.close(handle)  # and with it the lock


def _inside(member: tarfile.TarInfo, archive) -> pathlib.PurePosixPath:
    path = pathlib.PurePosixPath(member.name)
    # A backslash or a colon could mean another place on Windows.
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
        raise DataError(f"{archive} is refused: its member {member.name!r} would be written outside the folder")
    if not (member.isreg() or member.isdir()):
        kind = f"link to {member.linkname!r}" if member.issym() or member.islnk() else "device"
        raise DataError(f"{archive} is refused: its member {member.name!r} is a {kind}, not a file or folder")
    return path
