"""Reading and writing weights: safetensors and npz, neither of which can carry code; reading PyTorch's files."""

from __future__ import annotations

import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from .arrayfiles import read_npz, read_safetensors
from .device import to_numpy
from .errors import ArgumentError, FileError, MinicnnError
from .files import kind_of, named, replacing
from .nn import Module
from .tensor import as_array

SUFFIXES = (".safetensors", ".npz")


def _path(path) -> pathlib.Path:
    try:
        return pathlib.Path(path)
    except TypeError:
        raise ArgumentError(
            f"a path was expected, got {type(path).__name__}; it is save(model, path) and load(path)"
        ) from None


def _suffix(path: pathlib.Path) -> str:
    if kind_of(path) == "folder":
        raise FileError(f"{path} is a folder; name a file in it, such as {path / 'weights.safetensors'}")
    if path.suffix not in SUFFIXES:
        raise FileError(
            f"{path}: weights are kept in {' or '.join(SUFFIXES)} files, not in {path.suffix or 'a nameless kind'}"
        )
    return path.suffix


def save(obj: Module | dict, path: str | os.PathLike, metadata: dict[str, str] | None = None) -> None:
    """Write a module's or a dict's arrays to ``path``, whole or not at all.

    Parameters
    ----------
    obj : Module, or dict of str to array or Tensor
    path : path ending in .safetensors or .npz
    metadata : dict of str to str, optional
        Kept in a safetensors file's header; read it with :func:`load_metadata`.

    Raises
    ------
    FileError
        If the suffix is neither, or a value is not an array.
    """
    path = _path(path)
    suffix = _suffix(path)
    state = obj.state_dict() if isinstance(obj, Module) else obj
    if not isinstance(state, Mapping):
        raise ArgumentError(
            f"save takes a model or a dict of names to arrays, got {type(obj).__name__}; its order is save(model, path)"
        )
    arrays = {str(name): _array(path, name, value) for name, value in state.items()}
    if not arrays:
        raise ArgumentError(
            f"save: there is nothing to save in {path}; the model has no parameters, the dict no arrays"
        )
    metadata = {str(k): str(v) for k, v in (metadata or {}).items()}
    with replacing(path) as temporary:
        if suffix == ".npz":
            _write_npz(temporary, arrays)
        else:
            from safetensors.numpy import save_file

            save_file(arrays, temporary, metadata=metadata)


def _write_npz(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """np.savez takes names as keywords, and so cannot save an array called "file"."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _array(path: pathlib.Path, name: str, value) -> np.ndarray:
    """A value as a contiguous array of its own shape."""
    try:
        array = to_numpy(as_array(value))
    except ValueError:
        raise FileError(f"{path}: {name} is no array of numbers, but a ragged {type(value).__name__}") from None
    if array.dtype.kind not in "fiub":
        raise FileError(f"{path}: {name} is no array of numbers, but {type(value).__name__} ({array.dtype})")
    if array.dtype.itemsize > 8:
        raise FileError(f"{path}: {name} holds {array.dtype}, which other machines cannot read; convert it to float64")
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def load(path: str | os.PathLike, part: str | None = None) -> dict[str, np.ndarray]:
    """Read a file of weights as a dict of arrays: safetensors, npz, or what ``torch.save`` wrote (.pth, .pt).

    What kind of file it is, its content says, not its name. Of a torch file only arrays are read, nothing in it is run
    (see ``minicnn/torchfile``), and its numbers stay on disk until they are used: do not change the file meanwhile.

    Parameters
    ----------
    path : path
    part : str, optional
        Which entry of a torch file holds the weights. Left out: the file itself, if it is a dict with arrays in it;
        otherwise the one entry that is, among ``state_dict``, ``model`` and other usual names.

    Raises
    ------
    FileError
        If there is no such file, it is of another kind, or it is damaged.
    """
    given, path = path, _path(path)
    if kind_of(given) == "folder":
        raise FileError(f"{path} is a folder; name a file in it, such as {path / 'weights.safetensors'}")
    if kind_of(given) is None:
        raise FileError(f"there is no file {named(given)}")
    try:
        kind = _kind(path)
        if kind == "torch":
            return _load_torch(path, part)
        if part is not None:
            raise ArgumentError(f"load: part={part!r} is for torch files, but {path} is a {kind} file")
        return _READERS[kind](path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError, _safetensor_error()) as error:
        if isinstance(error, MinicnnError):
            raise
        says = " ".join(str(error).split())
        raise FileError(f"{path} is damaged or no {kind} file: {says[:200]}") from None


def _kind(path: pathlib.Path) -> str:
    """What a file is by its first bytes; one that these do not tell is what its name says."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from None
    named = path.suffix if path.suffix in SUFFIXES else "torch"
    if head[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError):
            return named
        arrays = names and all(name.endswith(".npy") for name in names)
        return ".npz" if arrays or named == ".npz" and not any(n.endswith("/data.pkl") for n in names) else "torch"
    from .torchfile import begins_legacy

    if begins_legacy(head):
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return ".safetensors"
    if path.suffix in SUFFIXES:
        return path.suffix
    if head[257:262] == b"ustar":
        raise FileError(f"{path} was written by PyTorch before 0.1.12; load it in a newer one and save it again")
    begins = f"it begins with {head[:12]!r}" if head else "it is empty"
    raise FileError(f"{path} is no file of weights: those are .safetensors, .npz, and PyTorch's .pth and .pt; {begins}")


def _load_torch(path: pathlib.Path, part: str | None) -> dict[str, np.ndarray]:
    from .torchfile import read_torch

    try:
        return read_torch(path, part)
    except FileError as error:
        raise FileError(f"{path} is refused: {error}") from None


_READERS = {".npz": read_npz, ".safetensors": read_safetensors}


def load_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The text that :func:`save` put into a safetensors file's header."""
    from safetensors import safe_open

    try:
        with safe_open(path, "np") as file:
            return file.metadata() or {}
    except (OSError, _safetensor_error()) as error:
        raise FileError(f"{path} is damaged or no .safetensors file: {error}") from None


def _safetensor_error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError
