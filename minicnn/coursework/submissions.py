"""The text of a submission: of a Python file, or of the tagged cells of a notebook. ``collecting.py`` finds them."""

from __future__ import annotations

import json
import pathlib

from ..errors import FileError

LARGEST = 2 << 20  # bytes of one file; a longer one is no solution
TAGS = {"coursework", "solution"}


def read(path: pathlib.Path) -> str:
    """The Python text of a submission: of a ``.py`` file, or of the tagged cells of a notebook.

    Raises
    ------
    FileError
        It cannot be read, is too large, or is a notebook without a tagged cell.
    """
    return text_of(data_of(path), path.name)


def data_of(path: pathlib.Path) -> bytes:
    """The bytes of a file that may be a submission; FileError if there are too many, or if it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise FileError(f"cannot read {path.name}: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise FileError(f"{path.name} has more than {LARGEST} bytes; that is no solution")
    return data


def text_of(data: bytes, name: str) -> str:
    """The Python text in the bytes of a file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{name} is no text in UTF-8; save it as a .py file") from None
    return from_notebook(text, name) if name.lower().endswith(".ipynb") else text


def from_notebook(text: str, name: str) -> str:
    """The code of the cells that are tagged ``coursework`` (or ``solution``, or are nbgrader's solution cells)."""
    try:
        cells = json.loads(text)["cells"]
        chosen = [_code(cell) for cell in cells if cell["cell_type"] == "code" and _is_tagged(cell["metadata"])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FileError(f"{name} is no notebook") from None
    if not chosen:
        raise FileError(f"{name} has no cell tagged 'coursework'; copy your answer into the cell that was handed out")
    return "\n\n".join(chosen)


def _is_tagged(metadata: dict) -> bool:
    nbgrader = metadata.get("nbgrader", {})
    return bool(TAGS & set(metadata.get("tags", []))) or bool(nbgrader.get("solution"))


def _code(cell: dict) -> str:
    """Without IPython's own lines (%matplotlib, !pip), which are no Python."""
    lines = "".join(cell["source"]).splitlines()
    return "\n".join(f"# {line}" if line.lstrip().startswith(("%", "!")) else line for line in lines)
