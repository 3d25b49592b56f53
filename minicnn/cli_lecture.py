"""``minicnn lecture``: the lecture's numbers beside ours."""

from __future__ import annotations

import click


@click.command()
@click.option("--markdown", is_flag=True, help="For a README or a notebook.")
def lecture(markdown: bool) -> None:
    """The numbers that the lecture prints, computed: which are exact, under which convention, and which are wrong."""
    from .lecture import lecture, to_text

    click.echo(to_text(lecture(), markdown))
