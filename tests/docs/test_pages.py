"""The documentation says what is so: its pages are run as written, its figures and pictures are made anew."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pages
import pytest

import minicnn as mc
from minicnn import kernels, models

RUN = sorted(p for p in (*pages.ROOT.glob("docs/*.md"), *pages.ROOT.glob("docs/*/*.md"), pages.ROOT / "README.md"))


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_page_runs_as_written(page, tmp_path):
    """Every block of a page does what the page says, from an empty folder."""
    home = pages.ROOT
    if page.parent.name == "recipes":  # they change the project's own files: in a copy of it
        home = tmp_path
        for part in ("minicnn", "kernels", "tests"):
            shutil.copytree(pages.ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(pages.ROOT / "setup.cfg", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(home), "MINICNN_OFFLINE": "1", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, pages.__file__, str(page)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "page, complaint",
    [
        ('```python\n1 + 1\n```\n```text title="prints"\n3\n```\n', "the page says"),
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ('```sh\npython -c "raise SystemExit(3)"\n```\n', "ended with status 3"),
        ('```sh title="fails"\npython -c ""\n```\n', "ended with status 0"),
        ("```sh\nls\n```\n", "only minicnn"),
        ('```text title="prints"\n3\n```\n', "no block before"),
        ('```python title="minicnn/errors.py: suggest"\nreturn 7\n```\n', "no such lines"),
        ('```python title="minicnn/errors.py: nothing"\nreturn 7\n```\n', "has no nothing"),
        ('```text title="a.txt"\none\n```\n```diff title="a.txt"\n-two\n+three\n```\n', "0 times"),
        ('```diff title="b.txt"\n-two\n+three\n```\n', "there is no b.txt"),
        ("<!-- output of: minicnn --version -->\n\nminicnn 0\n\n<!-- end -->\n", "prints something else now"),
        ("```pyton\n1\n```\n", "begins no block"),
        ("```python\n1\n", "never ends"),
    ],
    ids=lambda value: value if " " in value and "`" not in value else "",
)
def test_what_is_not_as_the_page_says_is_found(page, complaint, tmp_path):
    """The runner of pages sees each kind of untruth; else a green test would say nothing."""
    with pytest.raises(pages.PageError, match=complaint):
        pages.run(page, tmp_path)


def test_right_page_passes(tmp_path):
    """Files, changes, commands, names that blocks share, errors and left-out lines, as the pages use them."""
    page = (
        '```python title="greet.py"\nprint("good morning")\n```\n'
        '```diff title="greet.py"\n-print("good morning")\n+print("good evening")\n```\n'
        '```sh\npython greet.py\n```\n```text title="prints"\ngood ...\n```\n'
        '```python\nx = 2\n```\n```python\nprint("x")\nx + 1\n```\n```text title="prints"\nx\n3\n```\n'
        '```python\nx / 0\n```\n```text title="prints"\nZeroDivisionError: division by zero\n```\n'
        '```python title="minicnn/errors.py: MinicnnError"\nclass MinicnnError(Exception):\n```\n'
        "```console\n$ make demo\n```\n"
    )
    assert pages.run(page, tmp_path) == 10
    assert (tmp_path / "greet.py").read_text() == 'print("good evening")\n'


def test_stored_outputs_are_written_anew(tmp_path):
    """``--write`` puts in what the command prints now, and leaves the page around it as it was."""
    page = "before\n\n<!-- output of: minicnn --version -->\n\nold\n\n<!-- end -->\n\nafter\n"
    new = pages.written_anew(page, tmp_path)
    assert new.replace(pages.output_of("minicnn --version", tmp_path), "old") == page
    assert "old" not in new and pages.run(new, tmp_path) == 1


def test_readme_is_short_and_its_figures_are_computed():
    """One page to scroll through; parameters and multiply-adds of its table, and the number of kernels, are so."""
    text = (pages.ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 300
    assert f"| kernels | {len(kernels.KERNELS)}, each in NumPy, Numba and CUDA" in text
    rows = re.findall(r"^\|.*\| `(\w+)` \| ([\d.]+) \| ([\d.,]+) \|$", text, re.MULTILINE)
    assert len(rows) == 15
    for name, parameters, macs in rows:
        with kernels.shapes_only():
            model = models.get_model(name)
        table = mc.summary(model, models.input_size(name, model), show=False)
        assert (parameters, macs) == (f"{table.total_params / 1e6:.2f}", f"{table.total_macs / 1e6:,.1f}"), name


def test_every_link_from_the_readme_leads_somewhere():
    """Files that the README links or shows are there, and so are the headings."""
    for target, heading in re.findall(r"\]\(([\w/.-]+)(?:#([\w-]+))?\)", (pages.ROOT / "README.md").read_text()):
        file = pages.ROOT / target
        assert file.is_file(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if heading else []
        assert heading in ["", *(re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings)], target


def test_docstrings_become_markdown():
    """Roles, examples, tables and indented lines, which a docstring has for a terminal, look right on the site."""
    pytest.importorskip("griffe")
    spec = importlib.util.spec_from_file_location("docstrings", pages.ROOT / "docs" / "site" / "docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    given = (
        "Twice :func:`.f`::\n    f(f(x))\n\n>>> [1, 2]\n[1, 2]\n\n== ==\na  b\n== ==\n\n"
        "Parameters\n----------\nx : int\n    Left alone.\n"
    )
    wanted = (
        "Twice `f`:\n\n    f(f(x))\n\n```pycon\n>>> [1, 2]\n[1, 2]\n```\n\n    == ==\n    a  b\n    == ==\n\n"
        "Parameters\n----------\nx : int\n    Left alone.\n"
    )
    assert module.as_markdown(given) == wanted


def test_site_builds_without_warnings(tmp_path):
    """``make docs``: no broken link, no docstring that cannot be read; nothing is fetched from another server."""
    pytest.importorskip("mkdocs")
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=pages.ROOT, env={**os.environ, "PYTHONPATH": str(pages.ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert foreign_parts(site) == []


def foreign_parts(site: pathlib.Path) -> list[str]:
    """Scripts, style sheets, fonts and pictures that a page of the site would fetch from another server."""
    pattern = re.compile(r"""<(?:script|img|link)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    return sorted({m.group() for page in site.rglob("*.html") for m in pattern.finditer(page.read_text("utf8"))})
