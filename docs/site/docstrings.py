"""Docstrings as the site reads them. They are written for a terminal; three things of theirs are not Markdown."""

from __future__ import annotations

import re

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):`~?([^`]+)`")
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,} *$", re.MULTILINE)  # NumPy's, such as Parameters


class Docstrings(griffe.Extension):
    """Names in roles become code, indented lines and tables keep their lines; ``minicnn.kernels`` is found.

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
    lines: list[str] = []
    table = False
    for line in prose.splitlines():
        if re.fullmatch(r"=+( +=+)*", line):  # the top, the middle or the end of a table
            if not table:
                lines.append("")
            table = True
            lines.append("    " + line)
            continue
        if table and line.strip():
            lines.append("    " + line)
            continue
        table = False
        indented, before = line.startswith("    "), lines[-1] if lines else ""
        if indented and before.strip() and not before.startswith("    "):
            lines.append("")
        lines.append(re.sub(r"::$", ":", line) if not indented else line)
    return "\n".join(lines) + ("\n" if prose.endswith("\n") else "") + sections
