"""Who handed in what: files, folders and zips as teachers get them from a learning platform.

Nothing is ever unpacked to disk, so that names in a zip can point nowhere; of a zip only files that can be submissions
are read, and no more of each than a submission may have, whatever the zip says of its size.
"""

from __future__ import annotations

import io
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import FileError
from .submissions import LARGEST, data_of

SUFFIXES = (".py", ".ipynb")
MEMBERS, DEPTH, TOTAL = 20_000, 3, 512 << 20  # of a zip: files, zips in zips, bytes in all
IGNORED = ("__MACOSX", "__pycache__")
#: Moodle: "Ada Example_123_assignsubmission_file_", as a folder or before the file's name;
#: Canvas: "exampleada_LATE_123_456_ex05.py"
MOODLE = re.compile(r"^(?P<student>.+?_[0-9]+)_assignsubmission_(?:file|onlinetext)_?(?P<file>.*)$")
CANVAS = re.compile(r"^(?P<student>[^_]+)_(?:LATE_)?(?P<id>[0-9]+)_(?P<submission>[0-9]+)_(?P<file>.+)$")


@dataclass(frozen=True)
class Found:
    """One file of a student, or why there is none."""

    student: str
    path: str  # as it lies in the folder, with zips as folders
    data: bytes = b""
    reason: str = ""
    other: bool = False  # a file that can be no submission: it only says who handed in

    @property
    def name(self) -> str:
        """The file's own name, without what a platform puts before it."""
        return split_name(self.path.rpartition("/")[2])[1]


def collect(folder: pathlib.Path) -> list[Found]:
    """All files below ``folder`` that can be submissions, by student, and a reason for what cannot be read.

    A folder in ``folder`` is a student, a zip is a student or a class, a loose file is a student.
    """
    found: list[Found] = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror or error}") from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name in IGNORED or entry.is_symlink():
            continue
        if entry.is_dir():
            found += _of_folder(entry)
        elif entry.suffix.lower() == ".zip":
            found += _of_zip(entry)
        elif entry.name.lower().endswith(SUFFIXES):
            student = split_name(entry.name)[0] or _student_of_file(entry.name)
            found.append(_file(student, entry, entry.name))
    return _without_others(found)


def _without_others(found: list[Found]) -> list[Found]:
    """What can be no submission counts only where a student has nothing else."""
    serious = {one.student for one in found if not one.other}
    kept = {one.student: one for one in found if one.other and one.student not in serious}
    return [one for one in found if not one.other or kept.get(one.student) is one]


def all_in(folder: pathlib.Path) -> list[Found]:
    """All files below a folder that holds one student's work."""
    return _without_others(_of_folder(folder))


def split_name(name: str) -> tuple[str, str]:
    """(student, file name) of a name that a platform made; ("", name) of any other."""
    if match := MOODLE.match(name):
        return match["student"], match["file"]
    if match := CANVAS.match(name):
        return f"{match['student']}_{match['id']}", match["file"]
    return "", name


def _student_of_file(name: str) -> str:
    """``ada_ex05.py`` and ``ex05-ada.py`` are Ada's; of ``ex05.py`` nobody knows."""
    stem = name.rpartition(".")[0]
    rest = re.sub(r"(^|[-_ .])ex_?[0-9]+(?=$|[-_ .])", "", stem, flags=re.IGNORECASE).strip("-_ .")
    return rest or stem


def _file(student: str, path: pathlib.Path, shown: str) -> Found:
    try:
        return Found(student, shown, data_of(path))
    except FileError as error:
        return Found(student, shown, reason=str(error))


def _of_folder(folder: pathlib.Path) -> list[Found]:
    student = split_name(folder.name)[0] or folder.name
    found = []
    for path in sorted(folder.rglob("*")):
        shown = path.relative_to(folder.parent).as_posix()
        if path.is_symlink() or not path.is_file() or _ignored(shown):
            continue
        if path.name.lower().endswith(SUFFIXES):
            found.append(_file(student, path, shown))
        elif path.suffix.lower() == ".zip":
            found += [replace(f, student=student) for f in _members(path, shown)]
        else:
            found.append(_no_submission(student, shown))
    return found or [Found(student, folder.name, reason="the folder is empty", other=True)]


def _no_submission(student: str, shown: str) -> Found:
    return Found(student, shown, reason="this is no .py and no .ipynb file", other=True)


def _ignored(path: str) -> bool:
    return any(part in IGNORED or part.startswith(".") for part in path.split("/"))


def _of_zip(path: pathlib.Path) -> list[Found]:
    """One student's zip, or a platform's with a whole class in it."""
    members = list(_members(path, path.name))
    below = [f.path.split("/")[1:] for f in members]
    while below and all(len(parts) > 1 for parts in below) and len({parts[0] for parts in below}) == 1:
        if split_name(below[0][0])[0]:
            break  # a platform's folder of one student
        below = [parts[1:] for parts in below]
    students = [_student_in(parts) for parts in below]
    folders = {parts[0] for parts in below if len(parts) > 1}
    is_class = any(split_name(parts[0])[0] for parts in below if parts) or len(folders) > 1
    if not is_class:
        students = [split_name(path.name)[0] or path.stem] * len(members)
    found = [replace(f, student=student or path.stem) for student, f in zip(students, members)]
    return found or [Found(path.stem, path.name, reason="the zip is empty", other=True)]


def _student_in(parts: list[str]) -> str:
    if not parts:
        return ""
    student = split_name(parts[0])[0]
    return student or (parts[0] if len(parts) > 1 else _student_of_file(parts[0]))


def _members(path: pathlib.Path, shown: str) -> Iterator[Found]:
    with open(path, "rb") as file:
        yield from _unzipped(file, shown, 1, [TOTAL])


def _unzipped(file, shown: str, depth: int, left: list[int]) -> Iterator[Found]:
    """The submissions in a zip, and in zips within; ``left[0]`` is how many bytes may still be read."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if len(infos) > MEMBERS:
                raise FileError(f"there are {len(infos)} files in it; at most {MEMBERS} are looked at")
            for info in sorted(infos, key=lambda i: i.filename):
                name = "/".join(p for p in info.filename.replace("\\", "/").split("/") if p not in ("", ".", ".."))
                inner = name.lower().endswith(".zip")
                if info.is_dir() or _ignored(name):
                    continue
                if not inner and not name.lower().endswith(SUFFIXES):
                    yield _no_submission("", f"{shown}/{name}")
                    continue
                most = 16 * LARGEST if inner else LARGEST
                data, reason = _member(archive, info, min(most, left[0]))
                left[0] -= len(data)
                if inner and not reason and depth < DEPTH:
                    yield from _unzipped(io.BytesIO(data), f"{shown}/{name}", depth + 1, left)
                elif inner:
                    yield Found("", f"{shown}/{name}", reason=reason or "zips lie too deep in zips")
                else:
                    yield Found("", f"{shown}/{name}", data, reason)
    except (zipfile.BadZipFile, FileError, OSError, ValueError, EOFError, NotImplementedError) as error:
        yield Found("", shown, reason=f"the zip cannot be read: {error}")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> tuple[bytes, str]:
    """A file of a zip, and why it is not to be had."""
    try:
        with archive.open(info) as member:
            data = member.read(most + 1)
    except (zipfile.BadZipFile, RuntimeError, OSError, ValueError, EOFError, NotImplementedError, zlib.error) as error:
        return b"", f"this file of the zip cannot be read: {error}"  # RuntimeError: it wants a password
    return (data, "") if len(data) <= most else (b"", f"this file of the zip has more than {most} bytes")
