"""A few of the slips of ``mutations.py`` in every .cu file, and what ``minicnn kernels check`` must find. All of them:
``make mutants``."""

from __future__ import annotations

import pathlib
import re

import mutations
import pytest

OUTSIDE, WRONG = "out of bounds", "wrong numbers"
SLIPS = [  # file, kind of change, part of the line after it, what is found
    ("batch_norm.cu", "barrier", "", "race"),
    ("batch_norm.cu", "shuffle", "__shfl_down_sync", WRONG),
    ("batch_norm.cu", "dropped term", "squares[s + p.channel]", WRONG),
    ("conv.cu", "comparison", "i <= size", OUTSIDE),
    ("conv.cu", "assignment", "i = step", "hang"),
    ("cross_entropy.cu", "comparison", "k <= classes", OUTSIDE),
    ("cross_entropy.cu", "arithmetic", "labels[row] - classes", OUTSIDE),
    ("cross_entropy.cu", "shuffle", "__shfl_down_sync(ALL_LANES, v", WRONG),
    ("depthwise.cu", "barrier", "", "race"),
    ("depthwise.cu", "dropped term", "oh * sh + kh - top", WRONG),
    ("dropout.cu", "guard", "if (true)", OUTSIDE),
    ("dropout.cu", "arithmetic", "block * 4 - j", OUTSIDE),
    ("im2col.cu", "swapped names", "iw < h", OUTSIDE),
    ("im2col.cu", "guard", "true ?", OUTSIDE),
    ("lrn.cu", "arithmetic", "channels + 1", OUTSIDE),
    ("lrn.cu", "swapped names", "max(c - before, 0); j <= min(c + before", WRONG),
    ("pooling.cu", "swapped names", "ih >= w", OUTSIDE),
    ("pooling.cu", "comparison", "iw > w", OUTSIDE),
    ("pooling.cu", "logic", "value > best && value != value", WRONG),
    ("relu.cu", "assignment", "i = step", "hang"),
    ("relu.cu", "constant", "y[i] <= T(1) ||", WRONG),
    ("update.cu", "guard", "if (true)", WRONG),
    ("update.cu", "assignment", "param[i] += lr * g", WRONG),
]


@pytest.mark.parametrize("file, kind, part, found", SLIPS, ids=[f"{s[0]}: {s[1]} {s[2]}" for s in SLIPS])
def test_slips_are_found(file, kind, part, found, monkeypatch):
    """A right answer of ``minicnn kernels check`` means something only if a slip changes it."""
    monkeypatch.setenv("MINICNN_SIM_SECONDS", "1")
    slip = next(m for m in mutations.mutants(file) if m.kind == kind and part in m.after)
    outcome = mutations.judge(slip)
    assert outcome.found == found, outcome


def test_what_is_changed_is_code_and_what_is_said_is_true():
    """A mutant of a comment would survive always, and one that equals the file, too."""
    for file in mutations.FILES:
        lines = mutations.original(file).splitlines()
        made = mutations.mutants(file)
        assert len({m.text() for m in made}) == len(made)
        for m in made:
            changed = m.text().splitlines()
            assert [i for i, (a, b) in enumerate(zip(lines, changed, strict=True), 1) if a != b] == [m.line]
            assert m.before != m.after


def test_every_file_and_kind_of_change_is_drawn():
    """The sample leaves no file and, in a file, no kind of slip out; and it is the same one each time."""
    for file in mutations.FILES:
        chosen = mutations.drawn(file, 40)
        assert 0 < len(chosen) <= 40
        assert {m.kind for m in chosen} == {m.kind for m in mutations.mutants(file)}
        assert chosen == mutations.drawn(file, 40)


def test_survivors_are_explained_where_they_stand():
    """Whoever changes a kernel's line that survivors.md speaks of has to look at its explanation again."""
    page = (pathlib.Path(__file__).parent / "survivors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+\.cu):(\d+) \|[^|]*\| `(.+)` \| `(.+)` \| (.+) \|$", page, flags=re.M)
    assert len(rows) == sum(line.startswith("| ") and ".cu:" in line for line in page.splitlines())
    for file, line, before, after, why in rows:
        made = [m for m in mutations.mutants(file) if m.line == int(line)]
        assert any(before in m.before and after in m.after for m in made), (file, line)
        assert why
