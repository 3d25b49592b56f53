"""``minicnn kernels``: the list of kernels, one kernel in all its rooms, and its check in the simulator."""

from __future__ import annotations

import pathlib
import shutil
import sys

import click


@click.group("kernels")
def kernels() -> None:
    """The kernels that compute everything: in NumPy, in Numba and in CUDA."""


@kernels.command("list")
def list_() -> None:
    """All kernels, and the files that define them."""
    from .kernel_pages import listing

    # in a pipe, a kernel is a line
    click.echo(listing(shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None))


@kernels.command()
@click.argument("name")
@click.option("--room", type=click.Choice(["plain", "cpu", "cuda"]), help="Only this room; default: all, side by side.")
def show(name: str, room: str | None) -> None:
    """The text of one kernel in its rooms: side by side where the terminal is wide, else one below the other."""
    from .kernel_pages import page

    width = shutil.get_terminal_size((100, 24)).columns
    click.echo(page(name, room, width, colour=sys.stdout.isatty()))


@kernels.command()
@click.argument("what")
@click.option("--as", "name", help="The kernel that a file of your own stands in for, such as im2col.")
@click.option("--verbose", is_flag=True, help="Also the calls that went well.")
def check(what: str, name: str | None, verbose: bool) -> None:
    """Run a kernel's .cu text in the simulator's check mode, on awkward shapes, against the plain definition.

    WHAT is a kernel's name, "all", or a .cu file of your own with --as NAME.
    """
    from . import kernels as package
    from .kernel_check import check, find

    own = what.endswith(".cu")
    if own and name is None:
        raise click.UsageError(f"{what} is a file: --as says which kernel it stands in for, such as --as im2col")
    if not own and name is not None:
        raise click.UsageError(f"--as goes with a file such as my_kernel.cu, and {what} is none")
    names = list(package.KERNELS) if what == "all" else [find(name if own else what).name]
    if own and not pathlib.Path(what).is_file():
        raise click.UsageError(f"there is no file {what}")
    failed = 0
    for one in names:
        verdicts = list(check(one, what if own else None))
        wrong = [v for v in verdicts if v.problem]
        failed += bool(wrong)
        for verdict in verdicts if verbose else wrong[:3]:
            click.echo(f"{one}({verdict.arguments}): {verdict.problem or 'right'}")
        if len(wrong) > 3 and not verbose:
            click.echo(f"... and {len(wrong) - 3} more calls; --verbose shows them")
        found = f"{len(wrong)} of {len(verdicts)} calls are wrong" if wrong else f"right in {len(verdicts)} calls"
        click.echo(f"{one}: {found}{'' if wrong else ', no finding'}")
    if failed:
        sys.exit(1)
