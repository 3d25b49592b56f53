"""Small files in PyTorch's two formats, written step by step without PyTorch; so they can be wrong on purpose."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {
    "f8": "DoubleStorage", "f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage", "i4": "IntStorage",
    "i2": "ShortStorage", "i1": "CharStorage", "u1": "ByteStorage", "b1": "BoolStorage",
}  # fmt: skip


class Steps(bytes):
    """Steps of a pickle, put in as they are."""


def named(module: str, name: str) -> Steps:
    return Steps(f"c{module}\n{name}\n".encode())


def call(function: Steps, *arguments) -> Steps:
    return Steps(function + steps(arguments) + b"R")


def steps(value) -> Steps:
    """What builds a value on the stack."""
    if isinstance(value, Steps):
        return value
    if value is None or isinstance(value, bool):
        return Steps({None: b"N", True: b"\x88", False: b"\x89"}[value])
    if isinstance(value, int):
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return Steps(b"\x8a" + bytes([len(raw)]) + raw)
    if isinstance(value, float):
        return Steps(b"G" + struct.pack(">d", value))
    if isinstance(value, str):
        return Steps(b"X" + struct.pack("<i", len(value.encode())) + value.encode())
    if isinstance(value, (tuple, list)):
        begin, end = (b"(", b"t") if isinstance(value, tuple) else (b"](", b"e")
        return Steps(begin + b"".join(map(steps, value)) + end)
    assert isinstance(value, dict)
    return Steps(b"}(" + b"".join(steps(k) + steps(v) for k, v in value.items()) + b"u")


def ordered(items: dict) -> Steps:
    """An OrderedDict with attributes, as state_dict() gives one."""
    content = b"(" + b"".join(steps(k) + steps(v) for k, v in items.items()) + b"u"
    return Steps(
        call(named("collections", "OrderedDict")) + content + steps({"_metadata": {"": {"version": 1}}}) + b"b"
    )


def stored(key: str, kind: str | Steps, count: int, *more) -> Steps:
    """A reference to a storage."""
    kind = kind if isinstance(kind, Steps) else named("torch", kind)
    return Steps(steps(("storage", kind, key, "cpu", count, *more)) + b"Q")


def tensor(storage: Steps, size: tuple, stride: tuple, offset: int = 0) -> Steps:
    hooks = call(named("collections", "OrderedDict"))
    return call(named("torch._utils", "_rebuild_tensor_v2"), storage, offset, size, stride, False, hooks)


def whole(key: str, array: np.ndarray, *more) -> Steps:
    """A tensor that is all of a storage."""
    strides = tuple(s // array.itemsize for s in array.strides)
    return tensor(stored(key, KINDS[array.dtype.str[1:]], array.size, *more), array.shape, strides)


def zip_bytes(
    description: bytes, storages: dict[str, bytes], order: str | None = "little", root="net", **more
) -> bytes:
    """The zip format; ``more`` are members beside, ``compression`` is zipfile's."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", more.pop("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr(f"{root}/data.pkl", b"\x80\x02" + description + b".")
        if order is not None:
            archive.writestr(f"{root}/byteorder", order)
        for key, raw in storages.items():
            archive.writestr(f"{root}/data/{key}", raw)
        archive.writestr(f"{root}/version", "3\n")
        for name, raw in more.items():
            archive.writestr(f"{root}/{name.replace('__', '.')}", raw)
    return file.getvalue()


def legacy_bytes(
    description: bytes, storages: dict[str, tuple[int, bytes]], order: str = "little", keys=None, magic: int = MAGIC,
    protocol: int = 1001,
) -> bytes:  # fmt: skip
    """The legacy format; of each storage the count and the bytes."""
    system = {"protocol_version": protocol, "little_endian": order == "little", "type_sizes": {"int": 4}}
    values = (magic, protocol, system, Steps(description), list(storages) if keys is None else keys)
    pickles = b"".join(b"\x80\x02" + steps(value) + b"." for value in values)
    return pickles + b"".join(count.to_bytes(8, order) + raw for count, raw in storages.values())
