"""Run the chapters and save their outputs: ``make notebooks``, or ``python notebooks/execute.py 00 05``.

What is saved is made the same on every machine: no execution times, no paths, no memory addresses, and cells keep
their names. A cell tagged ``machine`` shows versions or times; while its text is what it was, it keeps the output that
it had, so that the words around it still fit (``--fresh`` replaces those, too). Pictures that look as before stay as
they were.
"""

from __future__ import annotations

import argparse
import base64
import copy
import hashlib
import io
import os
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Iterable

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

HERE = pathlib.Path(__file__).parent
MOST_SECONDS = 180  # for a whole chapter
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDTH = "110"  # columns of tables that commands print
MACHINE = "machine"  # tag of a cell whose output depends on the machine: versions, times
ROUNDING = "rounding"  # tag of a cell whose last digits may differ: training, other BLAS libraries
RERUN = re.compile(r"^RERUN = False\b", re.MULTILINE)
# What a cold cache or a progress bar leaves on stderr.
PASSING = re.compile(r"^(minicnn: compiling .*\n?|.*\r.*\n?|.*\d+%\|.*\n?)", re.MULTILINE)
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
CACHE = re.compile(r"(minicnn[/\\])[0-9a-f]{16}\b")  # the cache of kernels has a new name after each change of them


def chapters(names: Iterable[str] = ()) -> list[pathlib.Path]:
    """The notebooks in order, or those whose file names begin so.

    Raises
    ------
    FileNotFoundError
        If a name is no chapter's.
    """
    there = sorted(HERE.glob("[0-9][0-9]_*.ipynb"))
    wanted = list(names)
    for name in wanted:
        if not any(path.name.startswith(name) for path in there):
            raise FileNotFoundError(f"there is no chapter {name}; there are {', '.join(p.stem for p in there)}")
    return [path for path in there if not wanted or path.name.startswith(tuple(wanted))]


# Running -------------------------------------------------------------------------------------------------------------
def execute(notebook, folder: pathlib.Path, environment: dict[str, str] | None = None, seconds: float = MOST_SECONDS):
    """Run all cells in a fresh kernel of this very Python, in ``folder``; returns a copy with the outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised an error; the message shows it.
    nbclient.exceptions.CellTimeoutError
        The whole took longer than ``seconds``.
    """
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as private:
        # the user's own start-up files and history of IPython, and a window system's backend, are left out
        env = {**os.environ, "IPYTHONDIR": private, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "COLUMNS": WIDTH}
        env.pop("MPLBACKEND", None)
        this_python = KernelSpecManager(kernel_dirs=[])  # and no other that somebody has registered
        manager = AsyncKernelManager(
            kernel_spec_manager=this_python,
            connection_file=os.path.join(private, "k.json"),
            transport="ipc" if os.name == "posix" else "tcp",  # needs no network, and nobody else can listen
        )
        client = NotebookClient(
            copy.deepcopy(notebook), km=manager, resources={"metadata": {"path": str(folder)}},
            timeout_func=lambda cell: max(1, int(deadline - time.monotonic())),
        )  # fmt: skip
        return client.execute(env={**env, **(environment or {})}, cleanup_kc=True)  # ours, so it is stopped


def rerunning(notebook):
    """A copy whose first cell says ``RERUN = True``."""
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        cell.source = RERUN.sub("RERUN = True", cell.source)
    return changed


# Making the same on every machine ------------------------------------------------------------------------------------
def normalised(notebook, before=None, fresh: bool = False):
    """A copy fit to be saved; outputs that say the same as those ``before`` are taken from there.

    Parameters
    ----------
    notebook : NotebookNode
        As it was executed.
    before : NotebookNode, optional
        As it was saved.
    fresh : bool
        Also replace the outputs of cells tagged ``machine``.
    """
    made = copy.deepcopy(notebook)
    made.metadata = nbformat.from_dict(METADATA)
    made.nbformat, made.nbformat_minor = 4, 5
    known = {} if before is None else {c.id: c for c in before.cells if c.cell_type == "code"}
    seen: dict[str, int] = {}
    number = 0
    for cell in made.cells:
        cell.source = cell.source.strip("\n")
        cell.id = _name(cell, seen)
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": sorted(tags)} if tags else {})
        cell.pop("attachments", None)
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        cell.outputs = _outputs(cell.outputs, number)
        old = known.get(cell.id)
        if old is not None and (_same_pictures(old, cell) or (MACHINE in tags and old.outputs and not fresh)):
            cell.outputs = _outputs(old.outputs, number)
    return made


def _name(cell, seen: dict[str, int]) -> str:
    """A cell's id follows from its text, so it changes when the cell does, and never otherwise."""
    name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def _outputs(outputs: list, number: int) -> list:
    made: list = []
    for output in copy.deepcopy(outputs):
        if output.output_type == "stream":
            text = PASSING.sub("", output.text) if output.name == "stderr" else output.text
            if made and made[-1].output_type == "stream" and made[-1].name == output.name:
                made[-1].text += cleaned(text)
            elif text:
                output.text = cleaned(text)
                made.append(output)
            continue
        if "data" in output:
            output.metadata = nbformat.from_dict({})
            for kind, content in output.data.items():
                if kind.startswith("text/") or kind == "image/svg+xml":
                    output.data[kind] = cleaned(content)
        if output.output_type == "execute_result":
            output.execution_count = number
        made.append(output)
    return made


def cleaned(text: str) -> str:
    """A text without this machine's folders and without memory addresses.

    >>> cleaned("<object at 0x7f3a5c0e8d30>")
    '<object at 0x...>'
    """
    folders = {str(HERE.parent.resolve()): ".", tempfile.gettempdir(): "(temporary)", sys.prefix: "(python)"}
    folders[str(pathlib.Path.home())] = "~"
    for folder in sorted(folders, key=len, reverse=True):
        text = re.sub(re.escape(folder) + r"(?![\w.-])", lambda found, short=folders[folder]: short, text)
    text = re.sub(r"\(temporary\)/tmp\w+", "(temporary)", text)
    return CACHE.sub(r"\1...", ADDRESS.sub("0x...", text))


def texts(cell) -> list[tuple[str, str]]:
    """(where, text) of what a cell says, pictures left out."""
    said = []
    for output in cell.outputs:
        if output.output_type == "stream":
            said.append((output.name, output.text))
        elif "data" in output:
            said += [(kind, text) for kind, text in output.data.items() if kind.startswith("text/")]
        else:
            said.append(("error", f"{output.ename}: {output.evalue}"))
    return said


def pictures(cell) -> list[tuple[str, str]]:
    """(kind, content) of a code cell's pictures."""
    found = (output.data.items() for output in cell.outputs if "data" in output)
    return [(kind, content) for items in found for kind, content in items if kind.startswith("image/")]


def _same_pictures(old, new) -> bool:
    """Whether both cells say the same, and their pictures show the same: another matplotlib writes other bytes."""
    a, b = pictures(old), pictures(new)
    if not a or len(a) != len(b) or texts(old) != texts(new):
        return False
    return all(x == y or x[0] == y[0] == "image/png" and _same_pixels(x[1], y[1]) for x, y in zip(a, b))


def _same_pixels(a: str, b: str) -> bool:
    from PIL import Image, ImageChops

    one, other = (Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in (a, b))
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


# The command ---------------------------------------------------------------------------------------------------------
def main() -> None:
    """Execute chapters, and save them with their outputs."""
    from minicnn.files import replacing

    parser = argparse.ArgumentParser(description="Run chapters and save their outputs.")
    parser.add_argument("names", nargs="*", metavar="NN", help="beginnings of file names; default: all")
    parser.add_argument("--fresh", action="store_true", help="also replace outputs of cells tagged 'machine'")
    parser.add_argument("--rerun", action="store_true", help="with RERUN = True: compute what is stored anew")
    options = parser.parse_args()
    for path in chapters(options.names):
        before = nbformat.read(path, as_version=4)
        start = time.monotonic()
        seconds = 24 * 3600 if options.rerun else MOST_SECONDS
        done = execute(rerunning(before) if options.rerun else before, HERE, seconds=seconds)
        for cell, was in zip(done.cells, before.cells):
            cell.source = was.source
        with replacing(path) as temporary:
            nbformat.write(normalised(done, before, options.fresh), temporary)
        print(f"{path.name}: {len(done.cells)} cells, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
