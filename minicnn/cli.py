"""The command line: ``minicnn demo``, ``train``, ``table``, ``draw``, ``compare``, ``lecture``,
``classify``, ``evaluate``, ``explain``, ``experiment``, ``kernels``, ``coursework``, ``doctor``, ``warmup``.

Bad input ends with one line that says what is wrong and exit status 2; see :func:`main`.
"""

from __future__ import annotations

import re
import sys
from typing import NoReturn

import click

from . import __version__
from .cli_compare import compare
from .cli_coursework import coursework
from .cli_draw import draw
from .cli_experiment import experiment
from .cli_explain import explain
from .cli_kernels import kernels
from .cli_lecture import lecture
from .cli_models import table
from .cli_options import machine_options, model_options, naming_options, picture_options, recipe_options, run_options
from .cli_recognise import classify, evaluate
from .cli_warmup import warmup
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


@cli.command()
@click.option("--out", default="runs/demo", show_default=True, help="Run folder; a number is added if it exists.")
@recipe_options("epochs", "batch_size", "lr", epochs=12)
@machine_options
def demo(out: str, device: str, threads: int | None, **given) -> None:
    """Train ResNet-20 on scikit-learn's handwritten digits: real images, offline, under three minutes on two cores."""
    from .runs import Run, train

    options = {"model": "resnet20", "data": "digits", "epochs": 12, **_given(given)}
    with naming_options():
        run = Run.from_dict(options)
    train(run, out, device=device, threads=threads)


@cli.command()
@click.option("--model", help="A name such as resnet20; a wrong one lists them all.")
@click.option("--data", help="A name or folder:DIR; a wrong one lists them all; default: digits.")
@click.option("--out", help="Run folder; left out: runs/MODEL-DATA. A number is added if it exists.")
@run_options
@picture_options
@machine_options
@model_options
@recipe_options()
def train(
    out: str | None, device: str, threads: int | None, checkpoint_every: int | None, detect_anomaly: bool,
    profile: bool, resume: bool, recipe_name: str | None, settings: tuple, **given,
) -> None:  # fmt: skip
    """Train a model; leaves metrics.csv, curves.png, last.safetensors and best.safetensors in the run folder.

    With --resume the other options may be left out: the run folder remembers them.
    """
    from . import models
    from .runs import Run, check_same, read_note, train

    context = click.get_current_context()
    given = {**_given(given), **({"model_options": dict(settings)} if settings else {})}
    options = {"data": "digits", **given}
    if out is None and "model" in options:
        names = (options["model"], options["data"])  # folder:my/pictures, mynet.py:Net
        out = "runs/" + "-".join(re.sub(r"[^\w.-]+", "-", name).strip("-.") for name in names)
    if resume:
        if out is None:
            raise click.UsageError("--resume needs --out, the run folder to go on in", context)
        if recipe_name is not None:
            raise click.UsageError("--recipe is for the beginning of a run; leave it out to go on", context)
        note = read_note(out)
        check_same(given, note, out)
        options = note
    elif "model" not in options:
        raise click.UsageError("--model is missing, such as --model resnet20", context)
    elif recipe_name is not None:
        papers = models.recipe(options["model"])
        with naming_options():
            own = {k: v for k, v in options.items() if k in papers.to_dict()}
            options |= papers.in_epochs(options.get("epochs", papers.epochs)).with_options(**own).to_dict()
    with naming_options():
        run = Run.from_dict(options)
    train(
        run, out, device=device, threads=threads, checkpoint_every=checkpoint_every, resume=resume,
        detect_anomaly=detect_anomaly, profile=profile,
    )  # fmt: skip


for _command in (table, draw, compare, lecture, classify, evaluate, explain, experiment, kernels, coursework, warmup):
    cli.add_command(_command)


def _given(options: dict) -> dict:
    return {name: value for name, value in options.items() if value not in (None, ())}


@cli.command()
def doctor() -> None:
    """Look over this installation: one line for each thing, with a remedy where something is missing."""
    from .doctor import examine

    for finding in examine():
        click.echo(str(finding))


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
