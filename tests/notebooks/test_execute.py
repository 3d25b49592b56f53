"""The runner of the chapters: what it saves is the same on every machine, and it says where a chapter fails."""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import pathlib
import tempfile

import comparing
import numpy as np
import pytest

nbformat = pytest.importorskip("nbformat")
exceptions = pytest.importorskip("nbclient.exceptions")
pytest.importorskip("ipykernel")

import execute  # noqa: E402
import stored  # noqa: E402

v4 = nbformat.v4


def cell_with(*outputs, source: str = "pass", tags=()):
    cell = v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata["tags"] = list(tags)
    return cell


def stream(text: str, name: str = "stdout"):
    return v4.new_output("stream", name=name, text=text)


def png(value: int, **info) -> dict:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    for key, text in info.items():
        notes.add_text(key, text)
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(file, "png", pnginfo=notes)
    return {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": "<Figure>"}


def saved(*cells, before=None, fresh=False):
    return execute.normalised(v4.new_notebook(cells=list(cells)), before, fresh)


def test_what_belongs_to_a_machine_is_taken_out():
    """Home, temporary files, the checkout, addresses and the name of the kernels' cache."""
    home, repository = pathlib.Path.home(), pathlib.Path(execute.HERE).parent.resolve()
    cache = home / ".cache" / "minicnn" / ("a1" * 8)
    text = f"{repository}/notebooks/x {tempfile.gettempdir()}/tmpab12/y <o at 0x7f3a5c0e8d30> {cache}"
    assert execute.cleaned(text) == "./notebooks/x (temporary)/y <o at 0x...> ~/.cache/minicnn/..."


def test_a_kept_notebook_has_one_form():
    """Times of execution, names by chance and counters of a run are gone, and doing it again changes nothing."""
    cell = cell_with(stream("a\n"), stream("b\n"), source="print()", tags=["b", "a"])
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00"}
    cell.execution_count = 17
    again = copy.deepcopy(cell)
    again.id = "by-chance"
    once = saved(cell, v4.new_markdown_cell("text"), again)
    assert [c.id for c in once.cells] == [c.id for c in saved(cell, v4.new_markdown_cell("text"), again).cells]
    assert len({c.id for c in once.cells}) == 3
    assert once.cells[0].metadata == {"tags": ["a", "b"]} and once.cells[0].execution_count == 1
    assert once.cells[0].outputs == [stream("a\nb\n")]
    assert nbformat.writes(execute.normalised(once, once)) == nbformat.writes(once)


def test_progress_and_compiling_lines_are_dropped_and_warnings_are_not():
    """A cold cache would otherwise leave fifty lines in the file; a warning has to be seen by the tests."""
    said = "minicnn: compiling relu for float32 (first use)\n 10%|# | 1/9\r 20%|# | 2/9\nUserWarning: mind\n"
    assert saved(cell_with(stream(said, "stderr"))).cells[0].outputs == [stream("UserWarning: mind\n", "stderr")]
    assert saved(cell_with(stream(said[:47] + "\n", "stderr"))).cells[0].outputs == []


def test_times_stay_until_the_cell_changes():
    """A cell tagged machine keeps what it said, unless its text changes or fresh ones are asked for."""
    before = saved(cell_with(stream("3 s"), source="f()", tags=["machine"]))
    after = cell_with(stream("4 s"), source="f()", tags=["machine"])
    assert saved(after, before=before).cells[0].outputs == [stream("3 s")]
    assert saved(after, before=before, fresh=True).cells[0].outputs == [stream("4 s")]
    other = cell_with(stream("4 s"), source="g()", tags=["machine"])
    assert saved(other, before=before).cells[0].outputs == [stream("4 s")]


def test_pictures_that_look_alike_stay_as_they_were():
    """Another version of matplotlib writes other bytes for the same picture; a new picture is taken."""
    before = saved(cell_with(v4.new_output("display_data", data=png(9, Software="old"))))
    same = cell_with(v4.new_output("display_data", data=png(9, Software="new")))
    other = cell_with(v4.new_output("display_data", data=png(8, Software="new")))
    assert saved(same).cells != before.cells
    assert saved(same, before=before).cells == before.cells
    assert saved(other, before=before).cells == saved(other).cells


def test_an_error_stops_the_chapter(tmp_path):
    """It is shown, and no later cell runs."""
    cells = [v4.new_code_cell("1 / 0"), v4.new_code_cell("open('later', 'w').close()")]
    with pytest.raises(exceptions.CellExecutionError, match="ZeroDivisionError"):
        execute.execute(v4.new_notebook(cells=cells), tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_kernel_is_left_behind(tmp_path):
    """Also after an error: eleven forgotten kernels would hold the memory of eleven chapters."""
    source = "import os; open('pid', 'w').write(str(os.getpid())); 1 / 0"
    with pytest.raises(exceptions.CellExecutionError):
        execute.execute(v4.new_notebook(cells=[v4.new_code_cell(source)]), tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_chapter_that_takes_too_long_is_stopped(tmp_path):
    """The limit is the whole chapter's."""
    endless = v4.new_notebook(cells=[v4.new_code_cell("while True: pass")])
    with pytest.raises(exceptions.CellTimeoutError):
        execute.execute(endless, tmp_path, seconds=3)


def test_chapters_are_named_by_their_beginning(tmp_path, monkeypatch):
    """They come in order, other files are none, and a name that fits nothing is an error that lists what there is."""
    monkeypatch.setattr(execute, "HERE", tmp_path)
    for name in ("10_b.ipynb", "00_a.ipynb", "draft.ipynb", "00_a.py"):
        (tmp_path / name).touch()
    assert [path.name for path in execute.chapters()] == ["00_a.ipynb", "10_b.ipynb"]
    assert [path.name for path in execute.chapters(["10"])] == ["10_b.ipynb"]
    with pytest.raises(FileNotFoundError, match="no chapter 77; there are 00_a, 10_b"):
        execute.chapters(["77"])


@pytest.mark.parametrize(
    "saved_text, now, rounding, said",
    [
        ("loss 0.50", "loss 0.50", False, None),
        ("loss 0.50", "loss 0.51", False, "line 1"),
        ("loss 0.50", "loss 0.51", True, None),
        ("loss 0.50", "loss 0.62", True, "line 1"),
        ("loss 0.50", "cost 0.50", True, "line 1"),
        ("1,234 images", "1,250 images", True, None),
        ("-3e-05", "3e+05", True, "line 1"),
        ("conv2 5", "conv1 5", True, "line 1"),
        ("a\nb", "a", False, "lines"),
    ],
)
def test_the_comparison_sees_what_it_should(saved_text, now, rounding, said):
    """Equal text passes; with "rounding" numbers may be off by a tenth, but no word and no name."""
    found = comparing.difference([("stdout", saved_text)], [("stdout", now)], rounding)
    assert found is None if said is None else said in found


def test_the_comparison_wants_the_same_kinds_of_output():
    """A result that is no longer shown is a difference."""
    assert "text/plain" in comparing.difference([("text/plain", "1")], [], False)


def test_stored_results(tmp_path, monkeypatch, capsys):
    """Computed once, kept with seconds and versions, shown without computing; without a file the remedy is named."""
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="RERUN = True"):
        stored.stored("05_x", lambda: 1)
    assert stored.stored("05_x", lambda: {"loss": [1.5, 0.5]}, rerun=True) == {"loss": [1.5, 0.5]}
    assert stored.stored("05_x", lambda: pytest.fail("computed")) == {"loss": [1.5, 0.5]}
    kept = json.loads((tmp_path / "05_x.json").read_text())
    assert kept["seconds"] == 0 and kept["made_with"]["numpy"] == np.__version__
    assert "took 0 s" in capsys.readouterr().out


def test_rerunning_flips_the_switch_and_nothing_else():
    """``--rerun`` changes the copy that runs, at the top of a cell only."""
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell("RERUN = False  # x\n'RERUN = False'"), v4.new_markdown_cell("y")]
    )
    changed = execute.rerunning(notebook)
    assert changed.cells[0].source == "RERUN = True  # x\n'RERUN = False'"
    assert notebook.cells[0].source.startswith("RERUN = False")
