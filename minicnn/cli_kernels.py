"""``minicnn kernels``: the list of kernels, one kernel in all its rooms, its check and its report in the simulator."""

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


@kernels.command()
@click.argument("name", required=False)
@click.option("--gpu", default="H100", show_default=True, help="Whose roofline and occupancy; `--gpu list` names all.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable; without NAME: all kernels.")
@click.option(
    "--plot", type=click.Path(dir_okay=False), help="Draw which addresses a warp touches: FILE.png, .svg, .pdf."
)
@click.option("--workload", default=1, show_default=True, help="Which of the workloads --plot draws, by number.")
@click.option("--line", "lines", type=int, multiple=True, help="Which lines --plot draws; default: the busiest ones.")
def report(name: str | None, gpu: str, as_json: bool, plot: str | None, workload: int, lines: tuple[int, ...]) -> None:
    """How a kernel uses memory on layers of ResNet-18, GoogLeNet and AlexNet: a model, not a measurement.

    Line by line how much of what is fetched is used (sector efficiency) and how lanes fight for banks of shared memory;
    bytes moved against the least possible, FLOPs, registers, occupancy and the roofline of a GPU.
    """
    from . import kernel_report

    if gpu == "list":
        click.echo("\n".join(kernel_report.GPUS))
        return
    if name is None and (plot or not as_json):
        raise click.UsageError(
            "name a kernel, such as `minicnn kernels report im2col`; all of them go with --json only"
        )
    if plot:
        _draw(name, gpu, workload, lines, plot)
    elif as_json:
        click.echo(kernel_report.as_json(name, gpu))
    else:
        for piece in kernel_report.page(name, gpu, shutil.get_terminal_size((140, 24)).columns):
            click.echo(piece)


def _draw(name: str, gpu: str, number: int, lines: tuple[int, ...], path: str) -> None:
    from . import kernel_picture, kernel_report

    measured = kernel_report.measure_one(name, number, gpu)
    title = f"{name} on {measured.workload.title}: {measured.workload.shapes}"
    kernel_picture.picture(title, kernel_picture.chosen_lines(measured.report.launches, lines), path)
    click.echo(f"{path}: {title}")
