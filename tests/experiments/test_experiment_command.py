"""``minicnn experiment``, and results as files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import command

from minicnn import experiments, random
from minicnn.errors import ArgumentError, FileError
from minicnn.experiments import Check, at_least, at_most, between, equal, results
from minicnn.experiments.page import report
from minicnn.experiments.results import plain, read


def test_list_names_them_all_in_order(capsys):
    """E2 before E10, and the verdict that is kept."""
    assert command("experiment", "list") == 0
    lines = capsys.readouterr().out.splitlines()[3:-1]
    assert [line.split()[1] for line in lines] == experiments.names()
    numbers = [int(line.split()[0].strip("Eb")) for line in lines]
    assert numbers == sorted(numbers)
    assert "held (6 of 6)" in next(line for line in lines if " stages " in line)


def test_run_prints_the_verdict_and_writes_figure_and_numbers(tmp_path, capsys):
    """By number or name; a second run takes another folder; what is written can be read."""
    for _ in range(2):
        assert command("experiment", "run", "E2", "--out", tmp_path / "e2") == 0
    out = capsys.readouterr().out
    assert out.count("verdict: held (6 of 6)") == 2 and "Conv layers at each spatial resolution" in out
    for folder in ("e2", "e2-2"):
        assert (tmp_path / folder / "figure.png").read_bytes()[:4] == b"\x89PNG"
        result = read(tmp_path / folder / "result.json")
        assert result.held and result.experiment.name == "stages" and result.command == "minicnn experiment run stages"


def test_several_at_once_go_to_their_own_folders(tmp_path, monkeypatch, capsys):
    """runs/experiments/NAME, where the command was given."""
    monkeypatch.chdir(tmp_path)
    assert command("experiment", "run", "stages", "zfnet", "--quick") == 0  # nothing to leave out: they run whole
    for name in ("stages", "zfnet"):
        assert not read(tmp_path / "runs" / "experiments" / name / "result.json").quick


def test_store_keeps_the_result_where_report_looks(tmp_path, monkeypatch, capsys):
    """And nowhere without --store."""
    monkeypatch.setattr(results, "STORED", tmp_path / "kept")
    assert experiments.stored("stages") is None
    assert command("experiment", "run", "stages", "--out", tmp_path / "a") == 0
    assert experiments.stored("stages") is None
    assert command("experiment", "report", "stages") == 2
    assert "minicnn experiment run stages --store makes one" in capsys.readouterr().err
    assert command("experiment", "run", "stages", "--store", "--out", tmp_path / "b") == 0
    assert experiments.stored("stages").held
    assert command("experiment", "report", "--out", tmp_path / "report") == 0
    out = capsys.readouterr().out
    assert "1 results; not run yet: " in out and "receptive-field" in out.rpartition("not run yet")[2]


def test_report_has_a_section_and_a_picture_for_each(tmp_path, capsys):
    """All that a reader needs, and links that lead somewhere."""
    assert command("experiment", "report", "E1", "E18", "--out", tmp_path / "page") == 0
    page = (tmp_path / "page" / "report.md").read_text("utf-8")
    for name in ("receptive-field", "zfnet"):
        one, kept = experiments.get(name), experiments.stored(name)
        assert f"![{one.claim}]({name}.png)" in page and (tmp_path / "page" / f"{name}.png").stat().st_size > 10_000
        for words in (one.claim, one.lecture, one.source, one.expected, one.limits, one.errata, kept.command):
            assert " ".join(words.split()) in page
        assert f"**Verdict: {kept.verdict}**" in page
    for heading in [line[3:] for line in page.splitlines() if line.startswith("## ")]:
        anchor = "".join(c for c in heading.lower() if c.isalnum() or c in " -").replace(" ", "-")
        assert f"](#{anchor})" in page
    assert "figure:" not in page  # tables for the figure only


@pytest.mark.parametrize("arguments, message", [
    (["run", "recptive-field"], "there is no experiment 'recptive-field'; did you mean receptive-field?"),
    (["run", "E99"], "there is no experiment 'E99'"),
    (["run"], "Missing argument 'NAME...'"),
    (["run", "E1", "E2", "--out", "x"], "--out is one experiment's folder"),
    (["run", "E1", "--quick", "--store"], "--store keeps whole results"),
    (["report", "nonsense"], "there is no experiment 'nonsense'"),
])  # fmt: skip
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    """Exit status 2, nothing written."""
    monkeypatch.chdir(tmp_path)
    assert command("experiment", *arguments) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_out_that_cannot_be_written(tmp_path, capsys):
    """A file is in the way: complained about before the run."""
    (tmp_path / "file").write_text("x")
    assert command("experiment", "run", "stages", "--out", tmp_path / "file" / "e2") == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_run_leaves_the_random_numbers_alone():
    """Also one that draws weights."""
    before = random.state.get()
    experiments.run("where-it-goes", progress=False)
    assert random.state.get() == before


def test_results_in_words_and_markdown():
    """What a notebook and a terminal show are the same figures."""
    result = experiments.stored("bottleneck")
    text, markdown = str(result), result._repr_markdown_()
    for words in ("3,857,973,248", "31,905,832", result.verdict):
        assert words in text and words in markdown
    assert repr(result) == f"<Result: E11 bottleneck, {result.verdict}>"
    assert json.loads(result.to("json"))["verdict"] == result.verdict
    with pytest.raises(ArgumentError, match="text, markdown, json"):
        result.to("html")


def test_long_tables_are_cut_in_print_but_not_in_the_file(tmp_path):
    """Row 41 and after."""
    result = experiments.stored("complexity")
    rows = next(iter(result.tables.values()))
    assert len(rows) > 40 and f"... {len(rows) - 40} more rows" in str(result)
    assert len(next(iter(json.loads(result.to("json"))["tables"].values()))) == len(rows)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": "no-such", "tables": {}}', "\x00", '{"name": "stages"}'])
def test_a_file_that_is_no_result(text, tmp_path):
    """Named, with what is wrong."""
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(FileError, match="r.json is no result"):
        read(tmp_path / "r.json")


def test_numbers_become_plain():
    """NumPy's, too; a training that diverged leaves None; what cannot be kept is an error at once."""
    kept = plain({"t": [{"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": float("nan"), "e": np.inf}]})
    assert kept == {"t": [{"a": 0.5, "b": 3, "c": True, "d": None, "e": None}]}
    assert [type(v) for v in kept["t"][0].values()] == [float, int, bool, type(None), type(None)]
    with pytest.raises(TypeError, match="words and numbers"):
        plain({"t": [{"a": np.zeros(3)}]})


def test_lines_of_a_verdict():
    """At the limit they hold, beyond it not, and never without a number."""
    assert at_most("a", 2, 2.0) == Check("a", "<= 2", "2", True)
    assert not at_most("a", 2, 2.1).held and not at_most("a", 2, None).held
    assert at_least("a", 2, 2).held and not at_least("a", 2, 1.9).held and not at_least("a", 2, None).held
    assert between("a", 1, 2, 1).held and not between("a", 1, 2, 2.1).held and not between("a", 1, 2, None).held
    assert equal("a", 1.5, 1.5).held and not equal("a", 1, 2).held and not equal("a", 0.0, None).held
    assert at_most("a", 1, None).found == "none" and at_most("a", 1, 0, timed=True).timed


def test_report_of_what_did_not_hold(tmp_path):
    """It says so, in the summary and in the table."""
    result = experiments.stored("stages")
    next(iter(result.tables.values()))[0]["multiply-adds"] = 1
    assert not result.held
    page = report([result], tmp_path).read_text("utf-8")
    assert page.count("not held (5 of 6)") == 2 and "| conv1_1 | 86,704,128 | 1 | NOT HELD |" in page
