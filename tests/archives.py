"""Small archives in the formats of the published data sets, written as their authors' programs wrote them."""

from __future__ import annotations

import gzip
import io
import pathlib
import struct
import tarfile

import numpy as np
from PIL import Image

from minicnn.data.cifar import FORMATS


def snapshot(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Everything in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """An IDX file of bytes."""
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_files(folder: pathlib.Path, train: int = 40, test: int = 20) -> None:
    """MNIST's four files, with images whose first pixel is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", train), ("t10k", test)):
        images = np.zeros((n, 28, 28), np.uint8)
        images[:, 0, 0] = np.arange(n)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx((np.arange(n) % 10).astype(np.uint8))))


def python2(value) -> bytes:
    """What cPickle of Python 2 made of a value (protocol 2, str as bytes, NumPy's old module names)."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(k) + _python2(v) for k, v in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, str):
        return b"T" + struct.pack("<i", len(value)) + value.encode()
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    assert isinstance(value, np.ndarray)
    blank = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    shape = b"(" + b"".join(map(_python2, value.shape)) + b"t"
    kind = b"cnumpy\ndtype\n(U\x02" + value.dtype.str[1:].encode() + b"K\x00K\x01tR"
    kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    raw = value.tobytes()
    return blank + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"


def tar(path: pathlib.Path, contents: dict[str, bytes], *more: tarfile.TarInfo) -> pathlib.Path:
    """A .tar.gz of files, then of members without content."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in more:
            archive.addfile(member)
    return path


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    """A link or a device."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def cifar_contents(name: str, write=python2, n: int = 20, data=None, labels=None) -> dict[str, bytes]:
    """Files of an archive of CIFAR; every batch has n images, filled with the batch's number."""
    layout = FORMATS[name]
    key, (names_file, names_key) = layout["labels"].decode(), layout["names"]
    contents = {}
    for number, file in enumerate([*layout["train"], *layout["test"]]):
        rows = np.full((n, 3072), number, np.uint8) if data is None else data
        numbers = [i % 10 for i in range(n)] if labels is None else labels
        contents[file] = write({"batch_label": file, key: numbers, "data": rows})
    contents[names_file] = write({names_key.decode(): [f"class {i}" for i in range(10)]})
    return contents


def picture(path: pathlib.Path, size=(6, 4), colour=(200, 100, 0), mode: str = "RGB", **options) -> pathlib.Path:
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)
    return path


def jpeg(size=(8, 6), colour=(200, 100, 0)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()
