"""``minicnn kernels``: the list of kernels, one in all its rooms, its check and report in the simulator; lessons."""

from __future__ import annotations

import pathlib
import shutil
import sys

import click

from .cli_models import model_options
from .recipe import OPTIMIZERS


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
@click.option("--as", "name", help="The kernel that a file of your own stands in for: im2col, lesson:matmul/2, ...")
@click.option("--verbose", is_flag=True, help="Also the calls that went well.")
def check(what: str, name: str | None, verbose: bool) -> None:
    """Run a kernel's .cu text in the simulator's check mode, on awkward shapes, against the plain definition.

    WHAT is a kernel's name, "all", a version of a lesson such as lesson:matmul/2, or a .cu file of your own with
    --as NAME.
    """
    from . import kernel_lessons
    from . import kernels as package
    from .kernel_check import check, find

    own = what.endswith(".cu")
    if own and name is None:
        raise click.UsageError(f"{what} is a file: --as says which kernel it stands in for, such as --as im2col")
    if not own and name is not None:
        raise click.UsageError(f"--as goes with a file such as my_kernel.cu, and {what} is none")
    names = list(package.KERNELS) if what == "all" else [name if own else what]
    if names[0].startswith(kernel_lessons.PREFIX):
        kernel_lessons.named(names[0])
        check = kernel_lessons.check
    else:
        find(names[0])
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
@model_options
@click.option("--batch-size", type=click.IntRange(1), default=2, show_default=True, help="Images of the step.")
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="sgd", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="All figures.")
def launches(name, size, variant, settings, classes, batch_size, optimizer, as_json) -> None:
    """What one training step of a model asks of a GPU, layer by layer: launches, copies, memory.

    Counted in the simulator, where the step is computed: a large model at its paper's size takes minutes.

    \b
    minicnn kernels launches resnet20
    minicnn kernels launches mobilenet_v2 --input 64 --batch-size 4
    """
    import json

    from . import models
    from .launches import count_step

    model = models.get_model(name, num_classes=classes, variant=variant, **dict(settings))
    size = size or models.input_size(name, model)
    make, options = OPTIMIZERS[optimizer]
    title = f"{name} {'x'.join(map(str, size))}, {batch_size} images, {optimizer}"
    found = count_step(model, lambda m: make(m.parameters(), **options), size, batch_size, title)
    click.echo(json.dumps(found.to_dict(), indent=1) if as_json else str(found))


@kernels.command()
@click.argument("name", required=False)
@click.option("--show", metavar="N", help="The file of one version.")
@click.option("--report", "reported", metavar="N", help="How one version uses memory, line by line.")
@click.option("--plot", type=click.Path(dir_okay=False), help="With --report N: draw it into FILE.png, .svg, .pdf.")
@click.option("--own", type=click.Path(exists=True, dir_okay=False), help="With --report N: your own .cu in its place.")
@click.option("--gpu", default="H100", show_default=True, help="The GPU of the model.")
def lesson(name: str | None, show: str | None, reported: str | None, plot: str | None, own: str | None, gpu: str):
    """One computation in several CUDA versions, each better than the one before: NAME, or the list of all lessons.

    Prints what each version improves, and what each asks of a GPU: a model, not a measurement.
    """
    from . import kernel_lessons

    if name is None and (show or reported):
        raise click.UsageError("--show and --report go with the name of a lesson, such as matmul")
    if (plot or own) and not reported:
        raise click.UsageError("--plot and --own go with --report N, which says which version")
    if name is None:
        click.echo(kernel_lessons.listing())
        return
    found = kernel_lessons.find(name)
    if show:
        click.echo(kernel_lessons.shown(found, show, colour=sys.stdout.isatty()))
    elif reported:
        version = kernel_lessons.find_version(found, reported)
        if plot:
            click.echo(f"{plot}: {kernel_lessons.draw(found, version, gpu, plot, own)}")
        else:
            click.echo(kernel_lessons.line_by_line(found, version, gpu, own))
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        click.echo(kernel_lessons.page(found, gpu, width))


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
