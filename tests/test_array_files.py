"""npz and safetensors files of strangers: damaged, forged, or of kinds of numbers that NumPy does not have."""

from __future__ import annotations

import json
import os
import struct
import zipfile

import numpy as np
import pytest
from mistakes import complaint

import minicnn as mc

F = mc.FileError
A = np.arange(6, dtype=np.float32).reshape(2, 3)


def safetensors(*entries: tuple[str, str, list[int], int, int], numbers: bytes = b"") -> bytes:
    """A file by hand: of each array its name, kind, shape, and where it begins and ends. Names may come twice."""
    rows = [
        f"{json.dumps(name)}:" + json.dumps({"dtype": kind, "shape": shape, "data_offsets": [begin, end]})
        for name, kind, shape, begin, end in entries
    ]
    header = ("{" + ",".join(rows) + "}").encode()
    return struct.pack("<Q", len(header)) + header + numbers


def put(tmp_path, content: bytes, name: str):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def test_bfloat16_becomes_float32(tmp_path):
    """Many published files keep bfloat16; it is the upper half of a float32."""
    bits = np.array([0x3FC0, 0xC020, 0x7F80, 0x0000], "<u2")  # 1.5, -2.5, infinity, 0
    content = safetensors(
        ("a", "F32", [1], 0, 4), ("b", "BF16", [2, 2], 4, 12), ("c", "BF16", [0, 3], 12, 12),
        numbers=np.float32(7).tobytes() + bits.tobytes(),
    )  # fmt: skip
    loaded = mc.load(put(tmp_path, content, "w.safetensors"))
    assert loaded["b"].dtype == np.float32 and loaded["b"].tolist() == [[1.5, -2.5], [np.inf, 0.0]]
    assert loaded["a"].tolist() == [7.0] and loaded["c"].shape == (0, 3)


SAFETENSORS = {
    "8-bit floats": (safetensors(("a", "F8_E4M3", [4], 0, 4), numbers=bytes(4)), "'a' holds F8_E4M3"),
    "two of one name": (safetensors(*[("a", "F32", [1], 0, 4)] * 2, numbers=bytes(4)), "has two entries 'a'"),
    "overlapping": (safetensors(("a", "F32", [2], 0, 8), ("b", "F32", [2], 4, 12), numbers=bytes(12)), "damaged"),
    "a gap": (safetensors(("a", "F32", [1], 4, 8), numbers=bytes(8)), "damaged"),
    "shape and bytes": (safetensors(("a", "F32", [3], 0, 8), numbers=bytes(8)), "damaged"),
    "beyond the end": (safetensors(("a", "F32", [2], 0, 8), numbers=bytes(4)), "damaged"),
    "huge": (safetensors(("a", "F32", [2**40, 2**40], 0, 8), numbers=bytes(8)), "damaged"),
    "negative": (safetensors(("a", "F32", [-1], 0, 8), numbers=bytes(8)), "damaged"),
    "header too long": (struct.pack("<Q", 2**31) + b"{}", "damaged"),
    "header not JSON": (struct.pack("<Q", 4) + b"{,,}", "damaged"),
    "header not UTF-8": (struct.pack("<Q", 4) + b'{"\xff}', "damaged"),
}


@pytest.mark.parametrize("what", SAFETENSORS)
def test_safetensors(tmp_path, what):
    content, says = SAFETENSORS[what]
    complaint(lambda: mc.load(put(tmp_path, content, "w.safetensors")), F, ("w.safetensors", says))


def test_an_npz_that_claims_more_than_there_is(tmp_path):
    """72 TiB by its header."""
    np.savez(tmp_path / "w.npz", a=np.zeros(10))
    content = (tmp_path / "w.npz").read_bytes()
    forged = content.replace(b"(10,), }" + b" " * 14, b"(10000000000000,), }  ")
    assert forged != content and len(forged) == len(content)
    complaint(lambda: mc.load(put(tmp_path, forged, "v.npz")), F, ("v.npz is damaged",))


def test_an_npz_that_swells(tmp_path):
    """Half a gigabyte of zeros in half a megabyte: refused before it is unpacked. Compressed weights are not."""
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (2**27,)})
            for _ in range(2**9):
                member.write(bytes(2**20))
    assert (tmp_path / "w.npz").stat().st_size < 2**20
    complaint(lambda: mc.load(tmp_path / "w.npz"), F, ("w.npz is damaged", "bytes would become 536871"))
    np.savez_compressed(tmp_path / "v.npz", a=A, b=np.zeros(10**6))  # a momentum that has not begun to move
    assert mc.load(tmp_path / "v.npz")["b"].nbytes > 500 * (tmp_path / "v.npz").stat().st_size


def test_an_npz_with_two_members_of_one_name(tmp_path):
    np.savez(tmp_path / "w.npz", a=A)
    with zipfile.ZipFile(tmp_path / "w.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.npy", archive.read("a.npy"))
    complaint(lambda: mc.load(tmp_path / "w.npz"), F, ("w.npz is damaged", "two members 'a.npy'"))


def test_an_npz_with_something_else_in_it(tmp_path):
    np.savez(tmp_path / "w.npz", a=A)
    with zipfile.ZipFile(tmp_path / "w.npz", "a") as archive:
        archive.writestr("readme.txt", "x")
    complaint(lambda: mc.load(tmp_path / "w.npz"), F, ("w.npz is damaged", "'readme.txt' is no array"))


def test_an_npz_with_objects_in_it_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    np.savez(tmp_path / "w.npz", a=np.array([Hostile()], object))
    complaint(lambda: mc.load(tmp_path / "w.npz"), F, ("w.npz is damaged",))
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has neither pipes nor devices among its files")
@pytest.mark.parametrize("name", ["w.pth", "w.npz", "w.safetensors"])
def test_what_is_no_file(tmp_path, name):
    """A pipe would be waited for, /dev/zero read for ever, a ring of links followed for ever."""
    os.mkfifo(tmp_path / name)
    complaint(lambda: mc.load(tmp_path / name), F, ("there is no file", name))
    for target in ("/dev/zero", tmp_path / "link", tmp_path / "nowhere"):
        (tmp_path / "link").symlink_to(target)
        complaint(lambda: mc.load(tmp_path / "link"), F, ("there is no file", "link"))
        (tmp_path / "link").unlink()


def test_a_link_to_a_file_is_read(tmp_path):
    mc.save({"a": A}, tmp_path / "w.npz")
    (tmp_path / "link.npz").symlink_to("w.npz")
    np.testing.assert_array_equal(mc.load(tmp_path / "link.npz")["a"], A)
