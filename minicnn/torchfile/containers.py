"""The two formats: where the description lies, and where each storage."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import BinaryIO

from ..errors import FileError
from .tensors import ALLOWED, Storage, storage
from .unpickling import LIMIT, TOO_LONG, Bounded, Machine, expect

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
#: what a damaged zip archive raises
BROKEN_ZIP = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError, OverflowError, struct.error)


class Storages:
    """The storages that a description refers to, by key."""

    def __init__(self) -> None:
        self.found: dict[str, Storage] = {}

    def __call__(self, reference) -> Storage:
        new = storage(reference)
        if self.found.setdefault(new.key, new) != new:
            raise FileError(f"it is damaged: it has two different storages {new.key[:40]!r}")
        return new


def length(file: BinaryIO) -> int:
    return file.seek(0, 2)


# The zip format ------------------------------------------------------------------------------------------------------
def read_zip(file: BinaryIO) -> tuple[object, dict[str, int], str]:
    """Read the description of a zip file.

    Returns
    -------
    contents : object
        Usually a dict; arrays are :class:`~.tensors.Tensor`.
    places : dict of str to int
        Where in the file each storage begins, in bytes.
    order : {"little", "big"}
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except BROKEN_ZIP as error:
        raise FileError(f"it is damaged or cut off ({error})") from None
    by_name = {member.filename: member for member in members}
    roots = [name.removesuffix("/data.pkl") for name in by_name if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1 or len(by_name) != len(members):
        raise FileError("it is a zip archive, but not one that PyTorch wrote")
    root = roots[0]
    if f"{root}/constants.pkl" in by_name:
        raise FileError("it is a TorchScript program, not a file of weights")

    def begin(name: str, nbytes: int | None = None) -> tuple[int, int]:
        if f"{root}/{name}" not in by_name:
            raise FileError(f"it is damaged: its member {name[:40]!r} is missing")
        return member_place(file, by_name[f"{root}/{name}"], nbytes)

    storages = Storages()
    start, size = begin("data.pkl")
    if size > LIMIT:
        raise FileError(TOO_LONG)
    file.seek(start)
    contents = Machine(ALLOWED, storages).run(Bounded(io.BytesIO(file.read(size))))
    if sum(own.nbytes for own in storages.found.values()) > length(file):
        raise FileError("it is damaged: its storages overlap, together they are larger than the file")
    places = {key: begin(f"data/{key}", s.nbytes)[0] for key, s in storages.found.items()}
    return contents, places, byte_order(file, *begin("byteorder")) if f"{root}/byteorder" in by_name else "little"


def member_place(file: BinaryIO, member: zipfile.ZipInfo, nbytes: int | None) -> tuple[int, int]:
    """Where a member's bytes begin in the archive, and how many they are; they must be all there, and ``nbytes``.

    Before the bytes stand 30 of header, then the name and extra fields, whose lengths are the last of these 30.
    """
    name, size = member.filename[:80], member.file_size
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != size or member.flag_bits & 0x41:
        raise FileError(f"its member {name!r} is compressed or encrypted, which PyTorch never does")
    file.seek(max(member.header_offset, 0))
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise FileError(f"it is damaged: its member {name!r} does not begin where the archive says")
    start = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
    if start + size > length(file):
        raise FileError(f"it is damaged: its member {name!r} of {size} bytes reaches beyond the end of the file")
    if nbytes is not None and size != nbytes:
        raise FileError(f"it is damaged: its member {name!r} has {size} bytes, its tensors need {nbytes}")
    return start, size


def byte_order(file: BinaryIO, start: int, size: int) -> str:
    file.seek(start)
    order = file.read(min(size, 20)).decode("latin1")
    if order not in ("little", "big"):
        raise FileError(f"it has its bytes in the order {order!r}; known are 'little' and 'big'")
    return order


# The legacy format ---------------------------------------------------------------------------------------------------
def read_legacy(file: BinaryIO) -> tuple[object, dict[str, int], str]:
    """Read the description of a legacy file; returns the same as :func:`read_zip`."""
    file.seek(0)
    stream, storages = Bounded(file), Storages()
    if Machine().run(stream) != MAGIC:
        raise FileError("it is a pickle, but not one that PyTorch wrote")
    protocol = Machine().run(stream)
    if protocol != PROTOCOL:
        raise FileError(f"it is of PyTorch's protocol {str(protocol)[:20]}; known is {PROTOCOL}")
    order = "little" if expect(Machine().run(stream), dict).get("little_endian", True) else "big"
    contents = Machine(ALLOWED, storages).run(stream)
    keys = expect(Machine().run(stream), list)
    if len(keys) != len(storages.found) or {expect(key, str) for key in keys} != storages.found.keys():
        raise FileError("it is damaged: its list of storages is not that of its tensors")
    return contents, legacy_places(file, [storages.found[key] for key in keys], order), order


def legacy_places(file: BinaryIO, storages: list[Storage], order: str) -> dict[str, int]:
    """Where each storage begins: they follow the pickles, each behind the number of its elements."""
    places, position, end = {}, file.tell(), length(file)
    for own in storages:
        file.seek(position)
        header = file.read(8)
        if len(header) < 8 or position + 8 + own.nbytes > end:
            raise FileError(f"it is cut off: {position + 8 + own.nbytes} bytes or more are needed, it has {end}")
        count = int.from_bytes(header, order, signed=True)
        if count != own.count:
            raise FileError(f"it is damaged: a storage has {count} numbers, its tensors need {own.count}")
        places[own.key] = position + 8
        position += 8 + own.nbytes
    if position != end:
        raise FileError(f"it is damaged: {end - position} bytes follow its last storage")
    return places
