"""Reading PyTorch's files of weights (.pth, .pt) without PyTorch, and without running anything that is in them.

A file that ``torch.save`` wrote is a *description* and *storages*. A storage is a row of numbers. The description is a
pickle, a program for a small machine that builds dicts and lists (``unpickling.py``); where a tensor belongs, it says

    _rebuild_tensor_v2(("storage", FloatStorage, "7", "cpu", 864), offset, size, stride, ...)

that is: of the 864 numbers of storage "7", those that begin at ``offset`` and lie ``stride`` apart (``tensors.py``).
Two tensors may share a storage; a transposed one has its strides swapped. Where the storages lie in the file differs
(``containers.py``):

    zip format, since PyTorch 1.6                   legacy format
        NAME/data.pkl     the description               pickle   magic number 0x1950a86a20f9469cfc6c
        NAME/byteorder    "little" or "big"             pickle   protocol number 1001
        NAME/data/0       storage "0"                   pickle   {"little_endian": True, ...}
        NAME/data/1       storage "1"                   pickle   the description
        NAME/version      ...                           pickle   list of the storages' keys
    a zip archive whose members are not                 for each key: how many numbers (int64), then they themselves
    compressed

Reading goes in two steps. First the description becomes dicts that hold :class:`~.tensors.Tensor`, notes of where
numbers lie; each is checked against the file. Only then are the numbers of the chosen dict mapped into memory: the
operating system reads a page of the file when it is touched, so a large file is never in memory twice.
"""

from __future__ import annotations

import os
import pathlib

import numpy as np

from ..errors import FileError
from .containers import MAGIC, read_legacy, read_zip
from .tensors import Tensor, Viewer

#: where training programs keep the weights beside other things, such as the optimiser's state
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "ema", "state_dict_ema",
            "model_ema")  # fmt: skip
ALONE = "in PyTorch save the weights alone: torch.save(model.state_dict(), path)"


def read_torch(path: str | os.PathLike, part: str | None = None) -> dict[str, np.ndarray]:
    """Read a file that ``torch.save`` wrote, as a dict of arrays.

    Parameters
    ----------
    path : path
    part : str, optional
        Which entry of the file holds the weights, where there are several.

    Returns
    -------
    dict of str to array
        Arrays that PyTorch kept as bfloat16 are float32. Writing into an array changes neither the file nor
        other arrays, but those that shared their numbers in PyTorch.

    Raises
    ------
    FileError
        The file is damaged, or holds something else than arrays; that is named, and nothing of it was run.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
        contents, places, order = (read_zip if zipped else read_legacy)(file)
    state = choose(contents, part)
    viewer = Viewer(np.memmap(path, np.uint8, mode="c").view(np.ndarray), places, order)
    return {str(name): _array(name, value, viewer) for name, value in state.items()}


def begins_legacy(head: bytes) -> bool:
    """Whether a file that begins so is one of the legacy format: a pickle of the magic number."""
    return head[:1] == b"\x80" and MAGIC.to_bytes(10, "little") in head[:40]


def choose(contents, part: str | None = None) -> dict:
    """The dict of tensors among what was read: the whole, or one entry of it.

    Raises
    ------
    FileError
        There is none, or there are several and ``part`` does not say which.
    """
    if not isinstance(contents, dict):
        what = "one array without a name" if isinstance(contents, Tensor) else type(contents).__name__
        raise FileError(f"it holds {what}, where a dict of arrays was expected; {ALONE}")
    states = {str(name): value for name, value in contents.items() if _is_state(value)}
    if part is not None:
        if part not in states:
            raise FileError(f"its entry {part!r} is no dict of arrays; those are: {_listed(states)}")
        return states[part]
    if _is_state(contents) or not contents:
        return contents
    found = [name for name in states if name in WRAPPERS]
    if len(found) == 1:
        return states[found[0]]
    if not states:
        raise FileError(f"it holds no arrays, only {_listed(contents)}; {ALONE}")
    raise FileError(f"it holds more than weights; say which entry they are, load(path, part=...): {_listed(states)}")


def _is_state(value) -> bool:
    return isinstance(value, dict) and any(isinstance(v, Tensor) for v in value.values())


def _array(name, value, viewer: Viewer) -> np.ndarray:
    if isinstance(value, Tensor):
        return viewer.array(value)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return np.asarray(value)
    raise FileError(f"its entry {_listed([name])} is no array, but {type(value).__name__}; {ALONE}")


def _listed(names) -> str:
    """The first of some names that a stranger chose: quoted, and not too long."""
    return ", ".join(repr(str(name)[:60]) for name in list(names)[:6]) or "none"
