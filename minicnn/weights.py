"""Reading and writing weights: safetensors and npz, neither of which can carry code."""
from __future__ import annotations

import os
import pathlib
import zipfile

import numpy as np

from .errors import FileError
from .files import replacing
from .nn import Module
from .tensor import as_array

SUFFIXES = (".safetensors", ".npz")


def _suffix(path: pathlib.Path) -> str:
    if path.suffix not in SUFFIXES:
        raise FileError(f"{path}: weights are kept in {' or '.join(SUFFIXES)} files, not in {path.suffix or 'a nameless kind'}")
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
    path = pathlib.Path(path)
    suffix = _suffix(path)
    state = obj.state_dict() if isinstance(obj, Module) else obj
    arrays = {str(k): np.ascontiguousarray(as_array(v)) for k, v in state.items()}
    for name, array in arrays.items():
        arrays[name] = array.reshape(np.shape(as_array(state[name])))  # ascontiguousarray gives 0-d arrays an axis
        if array.dtype.kind not in "fiub":
            raise FileError(f"{path}: {name} is no array of numbers, but {type(state[name]).__name__}")
    with replacing(path) as temporary:
        if suffix == ".npz":
            np.savez(temporary, **arrays)
        else:
            from safetensors.numpy import save_file

            save_file(arrays, temporary, metadata=metadata)


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read a file that :func:`save` wrote, as a dict of arrays.

    Raises
    ------
    FileError
        If there is no such file, it is of another kind, or it is damaged.
    """
    path = pathlib.Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        raise FileError(f"there is no file {path}")
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        from safetensors.numpy import load_file

        return load_file(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, _safetensor_error()) as error:
        raise FileError(f"{path} is damaged or no {suffix} file: {error}") from None


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
