"""What teachers get from a learning platform: whose file is which, and zips that are not what they seem."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest

from minicnn import FileError
from minicnn.coursework import collecting, submissions


def zipped(files: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def collected(folder) -> dict[str, list[str]]:
    """Student -> the files that can be read."""
    found: dict[str, list[str]] = {}
    for one in collecting.collect(folder):
        found.setdefault(one.student, []).extend([one.name] if not one.reason else [])
    return found


def test_loose_files_and_folders(tmp_path):
    """A file is a student's by its name, a folder is a student; other files are left out."""
    (tmp_path / "ada_ex05.py").write_text("")
    (tmp_path / "ex05-ben.ipynb").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "cleo" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "cleo" / "deep" / "er" / "ex05.py").write_text("")
    (tmp_path / "cleo" / "deep" / "plot.png").write_text("")
    (tmp_path / "cleo" / "__pycache__").mkdir()
    (tmp_path / "cleo" / "__pycache__" / "ex05.py").write_text("")
    (tmp_path / "dan").mkdir()
    assert collected(tmp_path) == {
        "ada": ["ada_ex05.py"], "ben": ["ex05-ben.ipynb"], "cleo": ["ex05.py"], "dan": [],
    }  # fmt: skip


def test_moodles_zip(tmp_path):
    """A folder for each student; one handed in a text file only, and still is there; a zip within a zip."""
    files = {
        "Ada Example_12_assignsubmission_file_/ex05.py": "",
        "Ben Example_13_assignsubmission_file_/week/ex05.ipynb": "",
        "Cleo Example_14_assignsubmission_file_/answer.txt": "",
        "Dan Example_15_assignsubmission_file_/all.zip": zipped({"all/ex05.py": ""}),
        "Eve Example_16_assignsubmission_file_ex05.py": "",
        "__MACOSX/Ada Example_12_assignsubmission_file_/._ex05.py": "",
    }
    (tmp_path / "class.zip").write_bytes(zipped(files))
    assert collected(tmp_path) == {
        "Ada Example_12": ["ex05.py"], "Ben Example_13": ["ex05.ipynb"], "Cleo Example_14": [],
        "Dan Example_15": ["ex05.py"], "Eve Example_16": ["ex05.py"],
    }  # fmt: skip


def test_canvass_zip(tmp_path):
    """Files of a whole class side by side, with names and numbers before them."""
    files = {
        "exampleada_4711_99_ex05.py": "",
        "exampleben_LATE_4712_100_ex05.py": "",
        "examplecleo_4713_101_a.zip": b"x",
    }
    (tmp_path / "submissions.zip").write_bytes(zipped(files))
    assert collected(tmp_path) == {
        "exampleada_4711": ["ex05.py"],
        "exampleben_4712": ["ex05.py"],
        "examplecleo_4713": [],
    }


def test_a_students_own_zip_and_a_class_in_a_folder(tmp_path):
    """One folder in a zip is how zips are made, and no student; several are."""
    (tmp_path / "ada.zip").write_bytes(zipped({"homework/ex05.py": "", "homework/ex01.py": ""}))
    (tmp_path / "class.zip").write_bytes(zipped({"class/ben/ex05.py": "", "class/cleo/ex05.py": ""}))
    assert collected(tmp_path) == {"ada": ["ex01.py", "ex05.py"], "ben": ["ex05.py"], "cleo": ["ex05.py"]}


def test_names_that_point_outside_point_nowhere(tmp_path):
    """Nothing is unpacked: `..` and absolute names are names and no more."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.zip").write_bytes(
        zipped({"../../ex05.py": "a", "/etc/ex01.py": "b", "C:\\x\\ex02.py": "c"})
    )
    found = collecting.collect(tmp_path / "in")
    assert sorted(one.path for one in found) == ["ada.zip/C:/x/ex02.py", "ada.zip/etc/ex01.py", "ada.zip/ex05.py"]
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_links_are_not_followed(tmp_path):
    """A link in a folder could show someone else's work, or the teacher's."""
    (tmp_path / "secret.py").write_text("")
    (tmp_path / "in" / "ada").mkdir(parents=True)
    (tmp_path / "in" / "ada" / "ex05.py").symlink_to(tmp_path / "secret.py")
    (tmp_path / "in" / "ben.py").symlink_to(tmp_path / "secret.py")
    assert collected(tmp_path / "in") == {"ada": []}


def test_a_bomb_is_not_unpacked(tmp_path):
    """A gigabyte of zeros in a megabyte: no more is read than a submission may have, whatever the header says."""
    bomb = zipped({"ex05.py": b"0" * (1 << 28), "ex01.py": "ok"})
    forged = bomb.replace(struct.pack("<L", 1 << 28), struct.pack("<L", 10))
    for name, data in (("honest.zip", bomb), ("forged.zip", forged)):
        (tmp_path / name).write_bytes(data)
    found = {(one.student, one.name): one for one in collecting.collect(tmp_path)}
    assert "more than" in found["honest", "ex05.py"].reason
    assert found["forged", "ex05.py"].reason or len(found["forged", "ex05.py"].data) <= 10
    assert all(len(one.data) <= submissions.LARGEST for one in found.values())
    assert found["honest", "ex01.py"].data == b"ok"


def test_zips_in_zips_end(tmp_path):
    """A chain of zips is followed three deep, and then named."""
    data = zipped({"ex05.py": ""})
    for _ in range(6):
        data = zipped({"a.zip": data})
    (tmp_path / "ada.zip").write_bytes(data)
    (found,) = collecting.collect(tmp_path)
    assert "too deep" in found.reason


@pytest.mark.parametrize(
    "data", [b"", b"no zip", zipped({"ex05.py": "x" * 50})[:-30], zipped({"ex05.py": "x" * 50})[4:]]
)
def test_a_damaged_zip_has_a_reason(tmp_path, data):
    """One row says that it cannot be read; the others are collected."""
    (tmp_path / "ada.zip").write_bytes(data)
    (tmp_path / "ben.py").write_text("")
    found = {one.student: one for one in collecting.collect(tmp_path)}
    assert found["ada"].reason and not found["ben"].reason


def test_a_zip_that_wants_a_password_has_a_reason(tmp_path):
    """Encrypted: the flag in both headers is set."""
    data = bytearray(zipped({"ex05.py": "x"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "ada.zip").write_bytes(data)
    (found,) = collecting.collect(tmp_path)
    assert "password" in found.reason


def notebook(*cells) -> bytes:
    made = [{"cell_type": "code", "metadata": m, "source": s} for m, s in cells]
    return json.dumps({"cells": made, "nbformat": 4}).encode()


def test_a_notebooks_tagged_cells_are_the_submission():
    """Cells that are tagged or nbgrader's; IPython's own lines are no Python."""
    data = notebook(
        ({"tags": ["coursework"]}, ["%matplotlib inline\n", "x = 1\n"]),
        ({}, "raise SystemExit"),
        ({"nbgrader": {"solution": True}}, "!pip list\ny = 2"),
    )
    assert submissions.text_of(data, "a.ipynb") == "# %matplotlib inline\nx = 1\n\n# !pip list\ny = 2"


@pytest.mark.parametrize(
    "data, said",
    [
        (b"{", "is no notebook"), (b"[]", "is no notebook"), (b'{"cells": 3}', "is no notebook"),
        (b'{"cells": [{"cell_type": "code"}]}', "is no notebook"), (b"[" * 100_000, "is no notebook"),
        (notebook(({}, "x = 1")), "no cell tagged"), (b"\xff\xfe\x00", "UTF-8"),
    ],
)  # fmt: skip
def test_a_notebook_that_is_none_has_a_reason(data, said):
    """Damaged, of another shape, without a tagged cell, not text."""
    with pytest.raises(FileError, match=said):
        submissions.text_of(data, "a.ipynb")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    """Two megabytes are no solution."""
    (tmp_path / "ada.py").write_bytes(b"#" * (submissions.LARGEST + 1))
    (found,) = collecting.collect(tmp_path)
    assert "more than" in found.reason and found.data == b""
