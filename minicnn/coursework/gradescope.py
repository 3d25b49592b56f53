"""Gradescope: the autograder's zip, and what runs in it.

Gradescope runs ``setup.sh`` once, then for each student ``run_autograder``, with the submission in
``/autograder/submission``, and reads ``/autograder/results/results.json`` (its documentation, "Autograder
Specifications"). The zip holds minicnn itself, without solutions, mistakes and the other exercises.
"""

from __future__ import annotations

import io
import json
import pathlib
import sys
import time
import zipfile

from ..errors import FileError
from ..files import replacing
from . import collecting, exercise, running, submissions
from .exercise import Exercise
from .grading import pick

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when the image is built.
set -euo pipefail
apt-get update
apt-get install -y python3 python3-pip{more}
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "minicnn needs Python 3.11 or newer: choose a newer base image (Ubuntu 24.04) in the autograder's settings"
    exit 1
}
python3 -m pip install --break-system-packages 'numpy>=2'
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission.
cd /autograder/source
export PYTHONPATH=/autograder/source/package MINICNN_ROOM=plain
exec python3 -m minicnn.coursework.gradescope settings.json /autograder/submission /autograder/results/results.json
"""


def autograder(one: Exercise, variant: str, hints: str, seed: int) -> bytes:
    """The zip to be uploaded: setup.sh, run_autograder, settings.json, package/."""
    settings = {"exercise": one.name, "variant": variant, "hints": hints, "seed": seed}
    setup = SETUP.replace("{more}", " g++" if one.simulator else "")  # the simulator compiles kernels
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("setup.sh", setup), ("run_autograder", RUN)):
            _add(archive, name, text.encode(), executable=True)
        _add(archive, "settings.json", json.dumps(settings, indent=1).encode())
        for name, path in _package(one):
            _add(archive, f"package/minicnn/{name}", path.read_bytes())
    return stream.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes, executable: bool = False) -> None:
    info = zipfile.ZipInfo(name)  # of 1980: the same release twice is the same zip
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _package(one: Exercise) -> list[tuple[str, pathlib.Path]]:
    """minicnn's own files, and of the exercises this one's checks."""
    from .. import kernels

    root, inside = pathlib.Path(__file__).parent.parent, pathlib.Path(kernels.__file__).parent
    found = []
    for prefix, folder in (("", root), ("kernels/", inside)):
        for path in sorted(folder.rglob("*")):
            name = prefix + path.relative_to(folder).as_posix()
            if not path.is_file() or "__pycache__" in path.parts or (not prefix and name.startswith("kernels/")):
                continue
            if name.startswith("coursework/exercises/") and name != f"coursework/exercises/{one.name}/checks.py":
                continue
            found.append((name, path))
    return found


def results(report: running.Report, hints: str, seconds: float) -> dict:
    """A report as Gradescope reads it: one test for each check."""
    tests = []
    for number, result in enumerate(report.results, 1):
        tests.append({
            "name": f"{result.check.name}: {result.check.category}", "number": str(number),
            "score": result.points, "max_score": result.check.points,
            "status": "passed" if result.passed else "failed",
            "output": result.told(hints) if not report.reason else report.reason, "output_format": "text",
            "visibility": "visible",
        })  # fmt: skip
    said = f"{report.exercise.title}, variant {report.variant}"
    if report.reason:
        said += f"\nIt cannot be checked: {report.reason}"
    return {"output": said, "output_format": "text", "stdout_visibility": "hidden", "execution_time": round(seconds),
            "tests": tests}  # fmt: skip


def main(settings: str, folder: str, out: str) -> None:
    """Grade the one submission in ``folder``, and write results.json."""
    chosen = json.loads(pathlib.Path(settings).read_text(encoding="utf-8"))
    one, start = exercise.find(chosen["exercise"]), time.monotonic()
    variant, seed = chosen["variant"], chosen["seed"]
    found, note = pick(one, collecting.all_in(pathlib.Path(folder)), alone=True)
    report = running.Report(one, variant, seed)
    try:
        if found is None or found.reason:
            raise FileError(note if found is None else found.reason)
        text = exercise.with_constant(submissions.text_of(found.data, found.name), "VARIANT", variant)
        report = running.run(one, text, found.name, variant, seed)
    except FileError as error:
        report.reason = str(error)
        report.results = [running.Result(check, False, report.reason) for check in one.checks]
    with replacing(out) as temporary:
        temporary.write_text(json.dumps(results(report, chosen["hints"], time.monotonic() - start), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
