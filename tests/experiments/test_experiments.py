"""The experiments: exact ones run in full, and their kept results say the same."""

from __future__ import annotations

import json
import re

import pytest

from minicnn import experiments
from minicnn.experiments.base import NAMED
from minicnn.experiments.results import STORED, read

EXACT = ["receptive-field"]  # take a few seconds at most
TIME = re.compile(r"(ms|seconds)$")


def compared(tables) -> dict:
    """All but times, and numbers as they come out alike on machines that round otherwise."""
    return {
        name: [{key: value for key, value in row.items() if not TIME.search(key)} for row in rows]
        for name, rows in tables.items()
    }


def assert_alike(ours, kept):
    assert ours.keys() == kept.keys()
    for name in ours:
        assert len(ours[name]) == len(kept[name]), name
        for a, b in zip(ours[name], kept[name]):
            assert a.keys() == b.keys(), name
            for key in a:
                close = isinstance(a[key], float)
                assert a[key] == (pytest.approx(b[key], rel=1e-6, abs=1e-9) if close else b[key]), (name, key, a, b)


@pytest.fixture(scope="module")
def fresh():
    """Each exact experiment, run once for all tests."""
    kept = {}

    def result(name: str):
        if name not in kept:
            kept[name] = experiments.run(name, progress=False)
        return kept[name]

    return result


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_experiment_holds(name, fresh):
    """Run in full; only times may come out otherwise on a slow machine."""
    wrong = [check for check in fresh(name).checks if not check.held and not check.timed]
    assert fresh(name).checks and not wrong


@pytest.mark.parametrize("name", EXACT)
def test_a_kept_result_is_what_a_run_gives(name, fresh):
    """All but times: tables, seeds, command."""
    ours, kept = fresh(name), experiments.stored(name)
    assert_alike(compared(ours.tables), compared(kept.tables))
    assert (ours.seeds, ours.command, ours.quick) == (kept.seeds, kept.command, kept.quick)


@pytest.mark.parametrize("name", experiments.names())
def test_what_is_kept_is_judged_as_it_says(name):
    """The checks in the file follow from its numbers; what is kept is a whole run, held, and small."""
    path = STORED / f"{name}.json"
    written, kept = json.loads(path.read_text("utf-8")), read(path)
    assert written["checks"] == [vars(check) for check in kept.checks]
    assert written["verdict"] == kept.verdict and written["seconds"] > 0 and not kept.quick
    assert path.stat().st_size < 100_000
    assert written["claim"] == kept.experiment.claim


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_says_what_it_is(name):
    """Number, name and file agree, nothing that a reader needs is missing, and the kept figure can be drawn."""
    one = experiments.get(name)
    assert one.name == name and experiments.get(one.number) is one and NAMED.search(one.module)
    for words in (one.title, one.claim, one.source, one.expected, one.design, one.limits):
        assert len(words) > 5
    assert experiments.stored(name).figure().axes


def altered(name: str, change) -> list[str]:
    """What no longer holds when ``change`` has altered the tables of what is kept."""
    tables = json.loads((STORED / f"{name}.json").read_text("utf-8"))["tables"]
    change(tables)
    return [check.what for check in experiments.get(name).check(tables) if not check.held]


def test_receptive_field_can_fail():
    """A stack that saw 5x4 pixels, or weighed less where it doubles the maps, is found out."""

    def smaller(tables):
        tables["what the middle pixel sees"][0]["columns seen"] = 4

    def lighter(tables):
        next(r for r in list(tables.values())[1] if r["from"] == "C/2")["weights in C^2"] = 12.0

    assert altered("receptive-field", smaller) == ["two 3x3: rows seen, columns seen, pixels seen"]
    assert altered("receptive-field", lighter) == ["weights in C^2 from C/2 to C: two 3x3, one 5x5"]
