"""What the site's pages need beside their text: the architectures, drawn anew at every build by ``minicnn draw``."""

from __future__ import annotations

import pathlib
import re
import tempfile

from mkdocs.structure.files import File

DRAWN = re.compile(r"\]\(diagrams/([a-z0-9_]+)(?:-([a-z]+))?\.svg\)")


def on_files(files, config):
    """Add diagrams/MODEL.svg, or diagrams/MODEL-VARIANT.svg, for every one that a page shows."""
    pages = [f for f in files if f.src_uri.endswith(".md")]
    wanted = sorted({m.group(0, 1, 2) for f in pages for m in DRAWN.finditer(f.content_string)})
    for link, model, variant in wanted:
        files.append(File.generated(config, link[2:-1], content=drawn(model, variant)))
    return files


def drawn(model: str, variant: str | None) -> bytes:
    """The picture that ``minicnn draw MODEL --variant VARIANT`` makes."""
    from click.testing import CliRunner

    from minicnn.cli import cli

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "drawn.svg")
        options = ["--variant", variant] if variant else []
        done = CliRunner().invoke(cli, ["draw", model, "--out", str(path), *options], catch_exceptions=False)
        if done.exit_code:
            raise RuntimeError(done.output)
        return path.read_bytes()
