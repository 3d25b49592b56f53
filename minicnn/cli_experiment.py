"""``minicnn experiment``: the lecture's claims, tried."""

from __future__ import annotations

import pathlib

import click


@click.group()
def experiment() -> None:
    """The lecture's claims, tried: what is expected, a run with stated seeds, a figure, a verdict."""


@experiment.command("list")
def list_() -> None:
    """All experiments: number, name, verdict and seconds of the kept result, and the claim."""
    from . import columns, experiments

    rows = []
    for name in experiments.names():
        one, kept = experiments.get(name), experiments.stored(name)
        found = ("not run", "") if kept is None else (kept.verdict, f"{kept.seconds:.1f}")
        rows.append((one.number, name, *found, one.title))
    click.echo("\n".join(columns.text(("", "name", "kept result", "seconds", "about"), rows, right=[3])))


@experiment.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--quick", is_flag=True, help="Leave out what can be left out: fewer seeds, fewer epochs.")
@click.option("--out", type=click.Path(), help="Folder for figure and numbers; left out: runs/experiments/NAME.")
@click.option("--store", is_flag=True, help="Also keep the result in the package, where report and notebooks look.")
def run(names: tuple[str, ...], quick: bool, out: str | None, store: bool) -> None:
    """Run experiments, by name or number (all: every one): prints the tables and the verdict, writes figure and JSON.

    \b
    minicnn experiment run receptive-field
    minicnn experiment run E4 --quick --out runs/e4
    """
    from . import experiments
    from .experiments.results import STORED
    from .files import fresh_folder

    every = experiments.names() if names == ("all",) else [experiments.get(name).name for name in names]
    context = click.get_current_context()
    if out is not None and len(every) > 1:
        raise click.UsageError("--out is one experiment's folder; leave it out to run several", context)
    if store and quick:
        raise click.UsageError("--store keeps whole results; leave out --quick", context)
    for name in every:
        folder = fresh_folder(out or pathlib.Path("runs", "experiments", name))
        result = experiments.run(name, quick)
        click.echo(result.to("text"))
        experiments.write(result, folder / "result.json")
        result.figure(folder / "figure.png")
        if store:
            experiments.write(result, STORED / f"{name}.json")
        click.echo(f"wrote {folder / 'figure.png'} and {folder / 'result.json'} in {result.seconds:.1f} s\n")


@experiment.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--out", type=click.Path(), default="runs/experiments/report", show_default=True, help="Folder.")
def report(names: tuple[str, ...], out: str) -> None:
    """One page, report.md, of all kept results, with pictures; nothing is run."""
    from . import experiments
    from .errors import ArgumentError
    from .experiments.page import report
    from .files import fresh_folder

    kept = {name: experiments.stored(name) for name in names or experiments.names()}
    results = [result for result in kept.values() if result is not None]
    missing = [name for name, result in kept.items() if result is None]
    if names and missing:
        raise ArgumentError(f"no result of {missing[0]} is kept; minicnn experiment run {missing[0]} --store makes one")
    path = report(results, fresh_folder(out))
    click.echo(f"wrote {path}: {len(results)} results" + (f"; not run yet: {', '.join(missing)}" if missing else ""))
