"""Runs a page of the documentation as a reader would: block after block, from an empty folder.

What a fenced block means is said by its language and its title:

=====================================  ===============================================================================
python                                 run; all blocks of a page share their names. The value of a last expression is
                                       printed, as in a notebook
sh                                     each line is run as a command: ``minicnn ...`` or ``python ...``
sh, title "fails"                      the same; the last line must end with another exit status than 0
text, title "prints"                   what the block before it printed; ``...`` stands for anything, and line breaks
                                       may differ. A Python block may raise only if such a block names the error
any language, title "PATH"             the reader's own file, written to that path
any language, title "PATH: NAME"       lines of the project's source: they must stand so in that function, class or
                                       file; a line of ``...`` stands for lines left out
diff, title "PATH"                     a change of that file, with some lines around it
console, no language                   for reading only
=====================================  ===============================================================================

Between ``<!-- output of: minicnn ... -->`` and ``<!-- end -->`` stands what that command prints, in Markdown.

``python tests/docs/pages.py docs/PAGE.md`` runs one page in the current folder; the first thing that is not as the page
says ends it with exit status 1. ``python tests/docs/pages.py --write docs/PAGE.md`` writes stored outputs anew.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap
import traceback
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+)(?P<language>[\w+-]*) *(?:title=\"(?P<title>[^\"]*)\")? *$")
STORED = re.compile(
    r"(?<=<!-- output of: )(?P<command>minicnn .*?)(?P<between> -->\n\n)(?P<output>.*?)(?=\n\n<!-- end -->)", re.DOTALL
)
KINDS = ("python", "sh", "text", "diff", "console", "cpp", "make", "ini", "")


class PageError(Exception):
    """Something is not as the page says."""


@dataclass
class Block:
    """A fenced block: its line in the page, language, title ("" if none) and text."""

    line: int
    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found, opened, start, lines = [], None, 0, []
    for number, line in enumerate(page.splitlines(), start=1):
        if opened is not None and line.strip() == opened["fence"]:
            text = textwrap.dedent("\n".join(lines)) + "\n"
            found.append(Block(start, opened["language"], opened["title"] or "", text))
            opened = None
        elif opened is not None:
            lines.append(line)
        elif line.lstrip().startswith("```"):
            opened, start, lines = FENCE.match(line), number, []
            if opened is None or opened["language"] not in KINDS:
                raise PageError(f"line {number}: {line.strip()!r} begins no block that is known here")
    if opened is not None:
        raise PageError(f"line {start}: the block never ends")
    return found


def run(page: str, folder: pathlib.Path) -> int:
    """Run every block of a page in ``folder``; returns how many were run or compared. Raises PageError."""
    names, printed, count = {"__name__": "__main__"}, None, 0
    sys.path.insert(0, str(folder))
    for stored in STORED.finditer(page):
        if (now := output_of(stored["command"], folder)) != stored["output"]:
            raise PageError(f"{stored['command']} prints something else now; pages.py --write stores it:\n{now}")
        count += 1
    todo = blocks(page)
    for i, block in enumerate(todo):
        awaited = next((b for b in todo[i + 1 : i + 2] if (b.language, b.title) == ("text", "prints")), None)
        try:
            if block.language == "text" and block.title == "prints":
                compare(block.text, printed)
            elif block.language == "python" and not block.title:
                printed = run_python(block, names, may_raise=awaited is not None)
            elif block.language == "sh":
                printed = run_commands(block, folder)
            elif block.language == "diff":
                patch(folder / block.title, block.text)
            elif ": " in block.title:
                quoted(block)
            elif block.title:
                path = folder / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            else:
                continue
        except PageError as error:
            raise PageError(f"line {block.line}: {error}") from None
        count += 1
    return count


def compare(expected: str, printed: str | None) -> None:
    if printed is None:
        raise PageError("no block before this one printed anything")
    if not doctest.OutputChecker().check_output(expected, printed, SAME):
        raise PageError(f"the page says\n{expected}but this was printed:\n{printed}")


def run_python(block: Block, names: dict, may_raise: bool) -> str:
    """What the block prints; the error that it ends with, if it may, as a notebook's last line shows it."""
    out = io.StringIO()
    # line numbers in tracebacks are those of the page
    tree = ast.parse("\n" * block.line + block.text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(out):
        try:
            exec(compile_page(tree), names)
            if last is not None:
                value = eval(compile_page(ast.Expression(last.value)), names)
                if value is not None:
                    print(repr(value))
        except Exception as error:  # whatever the page shows
            if not may_raise:
                raise PageError("".join(traceback.format_exception(error))) from None
            print(f"{type(error).__name__}: {error}")
    return out.getvalue()


def compile_page(tree: ast.AST):
    return compile(tree, "<page>", "eval" if isinstance(tree, ast.Expression) else "exec")


def run_commands(block: Block, folder: pathlib.Path) -> str:
    """What the commands print, and the complaint of a last one that is to fail; all others must end with status 0."""
    printed, status, command = "", 0, ""
    for command in filter(None, map(str.strip, block.text.replace("\\\n", " ").splitlines())):
        if status:
            break
        words = shlex.split(command, comments=True)
        if words[0] == "minicnn":
            words = [sys.executable, "-m", "minicnn", *words[1:]]
        elif words[0] in ("python", "pytest"):
            words = [sys.executable, *(["-m", "pytest"] if words[0] == "pytest" else []), *words[1:]]
        else:
            raise PageError(f"{command}: only minicnn, python and pytest are run here")
        done = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=600, check=False)
        printed, status = printed + done.stdout, done.returncode
        if status:  # the notices of kernels being compiled come at a first use only
            printed += re.sub(r"^minicnn: compiling .*\n", "", done.stderr, flags=re.MULTILINE)
    if bool(status) != (block.title == "fails"):
        raise PageError(f"{command} ended with status {status} and printed:\n{printed}")
    return printed


def output_of(command: str, folder: pathlib.Path) -> str:
    return run_commands(Block(0, "sh", "", command), folder).strip()


def written_anew(page: str, folder: pathlib.Path) -> str:
    """The page with the outputs that its commands have now."""
    return STORED.sub(lambda m: m["command"] + m["between"] + output_of(m["command"], folder), page)


def patch(path: pathlib.Path, diff: str) -> None:
    """Change a file: lines that begin with - are taken away, with + added; all others must be there as they are."""
    if not path.is_file():
        raise PageError(f"there is no {path.name} to change")
    text = path.read_text()
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        if not hunk.strip():
            continue
        lines = [line or " " for line in hunk.splitlines()]
        before = "".join(line[1:] + "\n" for line in lines if line[0] in " -")
        after = "".join(line[1:] + "\n" for line in lines if line[0] in " +")
        if text.count(before) != 1:
            raise PageError(f"{path.name} holds these lines {text.count(before)} times, not once:\n{before}")
        text = text.replace(before, after)
    path.write_text(text)


def quoted(block: Block) -> None:
    """Check that the lines stand in the source as the page quotes them, next to each other."""
    path, _, name = block.title.partition(": ")
    source = part_of((ROOT / path).read_text(), name, path)
    rest = [line.strip() for line in source.splitlines()]
    for piece in re.split(r"^\s*\.\.\.\s*$", block.text, flags=re.MULTILINE):
        lines = [line.strip() for line in piece.strip().splitlines()]
        at = next((i for i in range(len(rest)) if rest[i : i + len(lines)] == lines), None)
        if at is None:
            raise PageError(f"{path} has no such lines in {name}:\n{piece.strip()}")
        rest = rest[at + len(lines) :]


def part_of(source: str, name: str, path: str) -> str:
    """The text of a class or function, such as ``Tensor.backward``; of other files than Python's, from its name on."""
    if not path.endswith(".py"):
        at = re.search(rf"\b{re.escape(name)}\(", source)
        if at is None:
            raise PageError(f"{path} has no {name}")
        return source[source.rfind("\n", 0, at.start()) + 1 :]
    if name == "the file":
        return source
    tree, node = ast.parse(source), None
    for part in name.split("."):
        node = next((n for n in (node or tree).body if getattr(n, "name", None) == part), None)
        if node is None:
            raise PageError(f"{path} has no {name}")
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])  # whole lines: with their comments


def main(*arguments: str) -> None:
    page = pathlib.Path(arguments[-1])
    try:
        if arguments[0] == "--write":
            page.write_text(written_anew(page.read_text(), pathlib.Path.cwd()))
            return
        count = run(page.read_text(), pathlib.Path.cwd())
    except PageError as error:
        sys.exit(f"{os.path.relpath(page, ROOT)}, {error}")
    print(f"{page.name}: {count} blocks")


if __name__ == "__main__":
    main(*sys.argv[1:])
