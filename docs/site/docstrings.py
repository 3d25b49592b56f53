"""Docstrings as the site reads them. They are written for a terminal; some things in them are not Markdown."""

from __future__ import annotations

import re

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):`~?([^`]+)`")
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,} *$", re.MULTILINE)  # NumPy's, such as Parameters
RULE = re.compile(r"=+( +=+)*$")  # above, in and below a table


class Docstrings(griffe.Extension):
    """Names in roles become code; indented lines, tables and examples keep their lines; ``minicnn.kernels`` is found.

    The kernels lie in ``kernels/`` beside ``minicnn/`` and are installed into it (``package_dir`` in setup.cfg).
    """

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs) -> None:
        if pkg.path == "minicnn" and "kernels" not in pkg.members:
            pkg.set_member("kernels", loader.load("kernels"))

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The same docstring with its first part, before NumPy's sections, as Markdown."""
    text = ROLE.sub(lambda m: f"`{m[1].lstrip('.')}`", text)
    at = SECTION.search(text)
    prose, sections = (text, "") if at is None else (text[: at.start()], text[at.start() :])
    paragraphs = re.split(r"\n[ \t]*\n", prose)
    return "\n\n".join(map(paragraph, paragraphs)) + sections


def paragraph(text: str) -> str:
    """Lines up to an empty one."""
    lines = text.strip("\n").splitlines()
    if lines and lines[0].startswith(">>>"):
        return "\n".join(["```pycon", *lines, "```"])
    if any(RULE.match(line) for line in lines):
        return "\n".join("    " + line for line in lines)  # code: a table for a terminal
    out: list[str] = []
    for line in lines:
        inside = line.startswith("    ")
        if inside and out and not out[-1].startswith("    "):
            out.append("")  # else Markdown takes it for the sentence's next line
        out.append(line if inside else re.sub(r"::$", ":", line).removesuffix("::"))
    return "\n".join(out)
