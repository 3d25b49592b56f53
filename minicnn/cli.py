"""The command line: ``minicnn demo``, ``train``, ``doctor``, ``warmup``.

Bad input ends with one line that says what is wrong and exit status 2; see :func:`main`.
"""

from __future__ import annotations

import re
import sys
from typing import NoReturn

import click

from . import __version__
from .device import check_room
from .errors import MinicnnError

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=HELP, invoke_without_command=True)
@click.version_option(__version__, prog_name="minicnn")
@click.pass_context
def cli(context: click.Context) -> None:
    """Convolutional neural networks from scratch."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    check_room()


def _options(*options):
    def add(command):
        for option in reversed(options):
            command = option(command)
        return command

    return add


RECIPE = (
    click.option("--batch-size", default=64, show_default=True, help="Images per update."),
    click.option("--lr", default=0.1, show_default=True, help="Peak learning rate of the cosine schedule."),
    click.option(
        "--seed", default=0, show_default=True, help="Initial weights, order and augmentation follow from it."
    ),
    click.option("--device", default="cpu", show_default=True),
    click.option("--threads", type=int, help="CPU threads; results do not depend on it."),
)


@cli.command()
@click.option("--epochs", default=12, show_default=True)
@click.option("--out", default="runs/demo", show_default=True, help="Run folder; a number is added if it exists.")
@_options(*RECIPE)
def demo(**options) -> None:
    """Train ResNet-20 on scikit-learn's handwritten digits: real images, offline, under three minutes on two cores."""
    from .recipes import train

    train(model_name="resnet20", data_name="digits", **options)


@cli.command()
@click.option("--model", "model_name", required=True, help="A name such as resnet20; a wrong one lists them all.")
@click.option(
    "--data", "data_name", default="digits", show_default=True, help="A name or folder:DIR; a wrong one lists them all."
)
@click.option("--epochs", default=20, show_default=True)
@click.option("--out", help="Run folder; left out: runs/MODEL-DATA. A number is added if it exists.")
@click.option(
    "--checkpoint-every", type=int, help="Batches between checkpoints; there is one after every epoch anyway."
)
@click.option("--clip-norm", type=float, help="Clip the gradients to this length before each update.")
@click.option("--accumulate", default=1, show_default=True, help="Batches whose mean gradient makes one update.")
@click.option("--label-smoothing", default=0.0, show_default=True, help="Share of the target spread over all classes.")
@click.option("--detect-anomaly", is_flag=True, help="Stop at the first layer and operation that makes a NaN (slower).")
@click.option("--resume", is_flag=True, help="Go on in the folder --out where a run was cut off, bit for bit.")
@_options(*RECIPE)
def train(model_name: str, data_name: str, out: str | None, **options) -> None:
    """Train a model; leaves metrics.csv, curves.png, last.safetensors and best.safetensors in the run folder."""
    from .recipes import train

    data = re.sub(r"[^\w.-]+", "-", data_name).strip("-")  # folder:my/pictures
    train(model_name=model_name, data_name=data_name, out=out or f"runs/{model_name}-{data}", **options)


@cli.command()
def doctor() -> None:
    """Look over this installation: one line for each thing, with a remedy where something is missing."""
    from .doctor import examine

    for finding in examine():
        click.echo(str(finding))


@cli.command()
@click.option("--float64", is_flag=True, help="Compile for float64 too (gradient checks use it).")
def warmup(float64: bool) -> None:
    """Compile all CPU kernels now, so that the first real use does not wait."""
    import numpy as np

    from . import kernels
    from .kernels.samples import samples

    dtypes = (np.float32, np.float64) if float64 else (np.float32,)
    todo = [(name, arguments, dtype) for dtype in dtypes for name, arguments in samples(dtype)]
    with kernels.use_room("cpu"):
        for k, (name, arguments, dtype) in enumerate(todo, start=1):
            click.echo(f"{k:3d} of {len(todo)}  {name} ({np.dtype(dtype).name})")
            kernels.KERNELS[name](*arguments)


def _complain(message: str) -> NoReturn:
    click.echo("minicnn: " + " ".join(message.split()), err=True)
    sys.exit(2)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that minicnn raises on purpose become one line and exit status 2."""
    try:
        cli.main(arguments, prog_name="minicnn", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        _complain(error.format_message() + (f" ({context.command_path} --help lists what there is)" if context else ""))
    except MinicnnError as error:
        _complain(str(error))


if __name__ == "__main__":
    main()
