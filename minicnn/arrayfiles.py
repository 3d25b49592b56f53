"""Reading the two kinds of files that hold arrays and nothing else, npz and safetensors, from strangers too."""

from __future__ import annotations

import json
import math
import pathlib
import zipfile

import numpy as np

#: a member of an npz file may be compressed; so much more than the file holds is believed, or so many bytes
MOST_TIMES, ALWAYS = 100, 2**28
#: kinds of numbers that both safetensors and NumPy know
KNOWN = {"BOOL", "U8", "U16", "U32", "U64", "I8", "I16", "I32", "I64", "F16", "F32", "F64", "C64"}


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Raises
    ------
    ValueError
        A member is no array, two have one name, or they would take far more memory than the file has bytes.
    """
    with open(path, "rb") as file:  # np.load would leave a damaged file open
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds one array without a name, as .npy files do")
        _believable(archive.zip.infolist(), path.stat().st_size)
        arrays = {name: archive[name] for name in archive.files}
    others = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if others:
        raise ValueError(f"its member {others[0]!r} is no array")
    return arrays


def _believable(members: list[zipfile.ZipInfo], length: int) -> None:
    names = [member.filename for member in members]
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"it has two members {twice[0][:60]!r}")
    total = sum(member.file_size for member in members)
    if total > max(MOST_TIMES * length, ALWAYS):
        raise ValueError(f"{length} bytes would become {total}: no weights can be compressed so far")


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file; bfloat16, which NumPy does not have, becomes float32.

    Raises
    ------
    ValueError
        Two arrays have one name, or an array is of a kind of numbers that NumPy does not have, such as 8-bit floats.
    SafetensorError
        The file is damaged.
    """
    from safetensors import safe_open

    with safe_open(path, "np") as file:  # checks that the arrays fill the file, without gaps and overlaps
        header, begin = _header(path)
        strange = [
            f"{name[:60]!r} holds {about['dtype']}"
            for name, about in header.items()
            if about["dtype"] not in {"BF16", *KNOWN}
        ]
        if strange:
            raise ValueError(f"{strange[0]}, which NumPy does not have; convert it to float32")
        return {
            name: _bfloat16(path, header[name], begin) if header[name]["dtype"] == "BF16" else file.get_tensor(name)
            for name in file.keys()
        }


def _header(path: pathlib.Path) -> tuple[dict[str, dict], int]:
    """What the file says of each array, and where the numbers begin: 8 bytes of length, so many of JSON, numbers."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length), object_pairs_hook=_once)
    header.pop("__metadata__", None)
    return header, 8 + length


def _once(pairs: list[tuple[str, object]]) -> dict:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has two entries {next(n for n in names if names.count(n) > 1)[:60]!r}")
    return made


def _bfloat16(path: pathlib.Path, about: dict, begin: int) -> np.ndarray:
    """A bfloat16 is the upper half of a float32."""
    count, offset = math.prod(about["shape"]), begin + about["data_offsets"][0]
    wide = np.fromfile(path, "<u2", count, offset=offset).astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32).reshape(about["shape"])
