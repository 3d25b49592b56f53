"""Damaged and forged torch files: one error each, whatever byte is wrong."""

from __future__ import annotations

import io
import pathlib
import struct
import zipfile

import numpy as np
import pytest
import torch_writer as w
from mistakes import complaint

import minicnn as mc
from minicnn.torchfile import unpickling

F = mc.FileError
A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(4)
STATE = w.ordered({"a": w.whole("0", A), "b": w.whole("1", B)})
RAW = {"0": A.tobytes(), "1": B.tobytes()}
COUNTED = {"0": (6, RAW["0"]), "1": (4, RAW["1"])}


def put(tmp_path, content: bytes, name: str = "w.pth") -> pathlib.Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


WHOLE = {"zip": w.zip_bytes(STATE, RAW), "legacy": w.legacy_bytes(STATE, COUNTED)}


@pytest.mark.parametrize("format", WHOLE)
def test_cut_off_anywhere(tmp_path, format):
    """No beginning of a file passes for a whole one."""
    assert list(mc.load(put(tmp_path, WHOLE[format]))) == ["a", "b"]
    for n in range(len(WHOLE[format])):
        complaint(lambda n=n: mc.load(put(tmp_path, WHOLE[format][:n])), F, ("w.pth",))


@pytest.mark.parametrize("format", WHOLE)
def test_any_byte_wrong(tmp_path, format):
    """Either the numbers or names are others, or the file is refused: no other error, no array of another size."""
    refused = 0
    for i in range(len(WHOLE[format])):
        for change in (0x01, 0x80, 0xFF):
            content = bytearray(WHOLE[format])
            content[i] ^= change
            try:
                loaded = mc.load(put(tmp_path, bytes(content)))
            except F as error:
                refused += 1
                assert "w.pth" in str(error) and "\n" not in str(error) and len(str(error)) < 400
            else:
                assert sum(a.size for a in loaded.values()) <= 10
    assert refused > len(WHOLE[format])


def test_many_random_bytes_wrong(tmp_path):
    rng = np.random.default_rng(0)
    for format, whole in WHOLE.items():
        for _ in range(1000):
            content = np.frombuffer(whole, np.uint8).copy()
            content[rng.integers(0, len(content), rng.integers(2, 9))] = rng.integers(0, 256)
            try:
                loaded = mc.load(put(tmp_path, content.tobytes()))
            except F:
                continue
            assert sum(a.size for a in loaded.values()) <= 10, format


# The zip format -------------------------------------------------------------------------------------------------------
def renamed(content: bytes, old: str, new: str) -> bytes:
    """A member renamed to a name of the same length."""
    assert len(old) == len(new) and content.count(old.encode()) == 2
    return content.replace(old.encode(), new.encode())


def directory_says(member: str, offset: int, value: int) -> bytes:
    """A zip file with another number in the central directory's entry of a member."""
    content = bytearray(WHOLE["zip"])
    entry = content.rindex(b"net/" + member.encode()) - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    struct.pack_into("<I", content, entry + offset, value)
    return bytes(content)


def sizes(member: str, value: int) -> bytes:
    """Both sizes, packed and unpacked, in the directory."""
    content = bytearray(directory_says(member, 20, value))
    struct.pack_into("<I", content, content.rindex(b"net/" + member.encode()) - 46 + 24, value)
    return bytes(content)


def twice() -> bytes:
    file = io.BytesIO(WHOLE["zip"])
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("net/data/0", bytes(24))
    return file.getvalue()


ZIPS = {
    "compressed": (lambda: w.zip_bytes(STATE, RAW, compression=zipfile.ZIP_DEFLATED), "'net/data.pkl' is compressed"),
    "bomb": (lambda: directory_says("data/1", 24, 2**31 - 1), "'net/data/1' is compressed"),
    "larger than the file": (lambda: sizes("data/1", 2**31 - 1), "'net/data/1' of 2147483647 bytes reaches beyond"),
    "larger than its tensors": (lambda: sizes("data/0", 25), "'net/data/0' has 25 bytes, its tensors need 24"),
    "elsewhere": (lambda: directory_says("data/0", 42, 7), "'net/data/0' does not begin where the archive says"),
    "encrypted": (lambda: directory_says("data/0", 8, 0x1), "'net/data/0' is compressed or encrypted"),
    "storage missing": (lambda: w.zip_bytes(STATE, {"0": RAW["0"]}), "'data/1' is missing"),
    "short storage": (lambda: w.zip_bytes(STATE, {**RAW, "1": bytes(31)}), "has 31 bytes, its tensors need 32"),
    "no order known": (lambda: w.zip_bytes(STATE, RAW, "middle"), "order 'middle'; known are 'little' and 'big'"),
    "order of 1 MB": (lambda: w.zip_bytes(STATE, RAW, "l" * 2**20), "order 'llllllllllllllllllll'"),
    "TorchScript": (lambda: w.zip_bytes(STATE, RAW, constants__pkl=b"x"), "TorchScript program"),
    "two of one name": (twice, "not one that PyTorch wrote"),
    "two descriptions": (lambda: renamed(w.zip_bytes(STATE, {**RAW, "x": b""}), "net/data/x", "n/data.pkl"), "not one"),
    "description too deep": (lambda: w.zip_bytes(STATE, RAW, root="a/b"), "not one that PyTorch wrote"),
    "some zip": (lambda: renamed(WHOLE["zip"], "net/data.pkl", "net/data.txt"), "not one that PyTorch wrote"),
}  # fmt: skip


@pytest.mark.parametrize("what", ZIPS)
def test_zip_archives(tmp_path, what):
    make, says = ZIPS[what]
    complaint(lambda: mc.load(put(tmp_path, make())), F, ("w.pth", says))


@pytest.mark.parametrize("key", ["../../secret", "/etc/hostname", "..\\secret", "0/../1", ""])
def test_keys_cannot_leave_the_archive(tmp_path, key):
    """A key is looked up among the archive's members, never among the machine's files."""
    (tmp_path / "secret").write_bytes(bytes(24))
    description = w.steps({"a": w.whole(key, A)})
    complaint(lambda: mc.load(put(tmp_path, w.zip_bytes(description, RAW))), F, (f"{'data/' + key!r} is missing",))


def test_overlapping_storages(tmp_path):
    """A thousand names of one member, each to be converted into an array of its own."""
    bits = np.zeros(1000, np.uint16)
    state = {f"{i}": w.tensor(w.stored(f"{i}", "BFloat16Storage", 1000), (1000,), (1,)) for i in range(1000)}
    whole = w.zip_bytes(w.steps(state), {"0": bits.tobytes()})
    directory, end = whole.index(b"PK\x01\x02"), whole.rindex(b"PK\x05\x06")
    begin = whole.rindex(b"net/data/0") - 46
    entry = whole[begin : begin + 46]
    more = b""
    for i in range(1, 1000):
        name = f"net/data/{i}".encode()
        more += entry[:28] + struct.pack("<H", len(name)) + entry[30:] + name
    tail = bytearray(whole[end:])
    count, size = struct.unpack("<HI", tail[10:16])
    tail[8:16] = struct.pack("<HHI", count + 999, count + 999, size + len(more))
    forged = whole[:end] + more + tail
    assert directory < begin < end and len(forged) < 300_000 < 1000 * bits.nbytes
    says = "overlap, together they are larger than the file"
    complaint(lambda: mc.load(put(tmp_path, forged)), F, ("w.pth", says))


# The legacy format ----------------------------------------------------------------------------------------------------
LEGACY = {
    "trailing": (lambda: WHOLE["legacy"] + b"x", "1 bytes follow its last storage"),
    "other count": (lambda: w.legacy_bytes(STATE, {**COUNTED, "1": (5, RAW["1"])}), "5 numbers, its tensors need 4"),
    "negative count": (lambda: w.legacy_bytes(STATE, {**COUNTED, "1": (2**64 - 1, RAW["1"])}), "has -1 numbers"),
    "key missing": (lambda: w.legacy_bytes(STATE, COUNTED, keys=["0"]), "its list of storages"),
    "key too many": (lambda: w.legacy_bytes(STATE, COUNTED, keys=["0", "1", "2"]), "its list of storages"),
    "key twice": (lambda: w.legacy_bytes(STATE, COUNTED, keys=["0", "1", "1"]), "its list of storages"),
    "keys no list": (lambda: w.legacy_bytes(STATE, COUNTED, keys={"0": 1}), "has dict where list belongs"),
    "keys no text": (lambda: w.legacy_bytes(STATE, COUNTED, keys=[0, 1]), "has int where str belongs"),
    "protocol": (lambda: w.legacy_bytes(STATE, COUNTED, protocol=1002), "protocol 1002; known is 1001"),
    "storage among the keys": (
        lambda: w.legacy_bytes(STATE, COUNTED, keys=[w.Steps(w.steps(("storage",)) + b"Q")]), "a place that has none",
    ),
    "hostile keys": (lambda: w.legacy_bytes(STATE, COUNTED, keys=[w.named("os", "system")]), "asks for os.system"),
}  # fmt: skip


@pytest.mark.parametrize("what", LEGACY)
def test_legacy_files(tmp_path, what):
    make, says = LEGACY[what]
    complaint(lambda: mc.load(put(tmp_path, make())), F, ("w.pth is refused", says))


@pytest.mark.parametrize("format", WHOLE)
def test_descriptions_that_waste_memory(tmp_path, monkeypatch, format):
    """Longer than any real one: not read to the end, neither by steps nor by one line without an end."""
    monkeypatch.setattr(unpickling, "LIMIT", 1000)
    monkeypatch.setattr("minicnn.torchfile.containers.LIMIT", 1000)
    monkeypatch.setattr(unpickling.Bounded.__init__, "__defaults__", (1000,))
    for description in (w.steps([None] * 1000), w.steps("x" * 1000), b"c" + b"x" * 1000 + b"\n\n"):
        content = w.zip_bytes(description, {}) if format == "zip" else w.legacy_bytes(description, {})
        complaint(lambda content=content: mc.load(put(tmp_path, content)), F, ("far too long",))


# Other files ----------------------------------------------------------------------------------------------------------
OTHERS = {
    "empty": (b"", "it is empty"),
    "a web page": (b"<!DOCTYPE html><html>log in first", "it begins with b'<!DOCTYPE ht'"),
    "another pickle": (b"\x80\x02}q\x00.", "is no file of weights"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is no file of weights"),
    "before 0.1.12": (bytes(257) + b"ustar\x0000" + bytes(248), "PyTorch before 0.1.12"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_files(tmp_path, what):
    content, says = OTHERS[what]
    complaint(lambda: mc.load(put(tmp_path, content)), F, ("w.pth", says))


def test_saving_torch_files_is_refused(tmp_path):
    complaint(lambda: mc.save({"a": A}, tmp_path / "w.pth"), F, (".safetensors or .npz", "not in .pth"))
