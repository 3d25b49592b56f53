"""``minicnn compare``: what every architecture costs, and what it gets right."""

from __future__ import annotations

import click

KEYS = ("name", "params", "macs", "memory", "training", "top1", "top5")


@click.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--sort", "key", type=click.Choice(KEYS), help="Smallest first; left out: by family.")
@click.option("--reverse", is_flag=True, help="With --sort: largest first.")
@click.option("--all", "every", is_flag=True, help="All variants, trials of options, and second figures too.")
@click.option("--csv", "form", flag_value="csv", help="Whole numbers, one line a row.")
@click.option("--json", "form", flag_value="json", help="All figures.")
@click.option("--markdown", "form", flag_value="markdown", help="For a README or a notebook.")
@click.option("--plot", "picture", type=click.Path(), help="Also draw accuracy against multiply-adds: .png or .svg.")
def compare(models, key, reverse, every, form, picture) -> None:
    """All models in one table: parameters, multiply-adds, memory, and published errors with their sources.

    Named models are listed with all that is known of them.

    \b
    minicnn compare --sort macs
    minicnn compare resnet50 vgg16 googlenet
    minicnn compare --plot complexity.png
    """
    from .comparison import compare

    rows = compare(models, every)
    if key is not None:
        rows = rows.sort(key, reverse)
    elif reverse:
        raise click.UsageError("--reverse goes with --sort", click.get_current_context())
    if picture is not None:
        from .plots import complexity

        complexity(rows, picture)
    click.echo(rows.to(form or "text"))
    if picture is not None and form is None:
        click.echo(f"picture: {picture}")
