"""The options of ``minicnn train``: one for each field of :class:`~minicnn.recipe.Recipe`, and those of the run."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import re
import typing
from collections.abc import Callable, Iterator

import click

from .errors import ArgumentError
from .recipe import Recipe


class Numbers(click.ParamType):
    """Numbers with commas between them, such as 80,120."""

    name = "numbers"

    def convert(self, value, param, ctx) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 80,120", param, ctx)


class Setting(click.ParamType):
    """An option of a model's builder, such as groups=8 or shortcut=B."""

    name = "NAME=VALUE"

    def convert(self, value, param, ctx) -> tuple[str, object]:
        name, equals, text = value.partition("=")
        if not equals or not name.isidentifier():
            self.fail(f"{value!r} is no option such as groups=8", param, ctx)
        try:
            return name, ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return name, text


def recipe_options(*only: str, **defaults) -> Callable:
    """Decorator: options for all fields of a recipe, or for ``only`` some; those that are not given arrive as None."""
    hints = typing.get_type_hints(Recipe)

    def add(command: Callable) -> Callable:
        for field in reversed(dataclasses.fields(Recipe)):
            if not only or field.name in only:
                command = _option(field, hints[field.name], defaults.get(field.name, field.default))(command)
        return command

    return add


def _option(field: dataclasses.Field, hint, default) -> Callable:
    name, text = "--" + field.name.replace("_", "-"), field.metadata["help"]
    if hint is bool:
        return click.option(name, is_flag=True, default=None, help=text)
    if default is not None:
        text = f"{text.removesuffix('.')}; default: {default}."
    if field.metadata["choices"]:
        kind = click.Choice(field.metadata["choices"])
    else:
        kinds = [k for k in (typing.get_args(hint) or (hint,)) if k is not type(None)]
        kind = kinds[0] if kinds[0] in (int, float, str) else Numbers()
    return click.option(name, type=kind, help=text)


def together(*options: Callable) -> Callable:
    """Decorator: several options, in this order."""

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


machine_options = together(
    click.option("--seed", type=int, help="Initial weights, order and augmentation follow from it; default: 0."),
    click.option(
        "--device", default="cpu", show_default=True, help="cpu, cuda (a GPU) or sim (its kernels on the CPU)."
    ),
    click.option("--threads", type=int, help="CPU threads; results do not depend on it."),
)
picture_options = together(
    click.option("--size", type=int, help="Of pictures in a folder: shorter side resized to this, centre cut out."),
    click.option("--pattern", help="Which files of a folder are pictures, such as '*.pgm'."),
    click.option("--skip-unreadable", "on_error", flag_value="skip", help="Leave damaged pictures out, and list them."),
)
model_options = together(
    click.option("--variant", help="Of the model, such as torchvision; a wrong one lists them."),
    click.option("--option", "settings", type=Setting(), multiple=True, help="Of the model, such as shortcut=B."),
    click.option("--weights", help="Begin with a file of weights, or with 'torchvision' for its published ones."),
    click.option("--freeze", multiple=True, help="A layer that does not learn, such as features."),
    click.option(
        "--recipe", "recipe_name", type=click.Choice(["paper"]), help="The paper's; other options override it."
    ),
)
run_options = together(
    click.option("--checkpoint-every", type=int, help="Batches between checkpoints; one follows each epoch anyway."),
    click.option(
        "--detect-anomaly", is_flag=True, help="Stop at the first layer and operation that makes a NaN (slow)."
    ),
    click.option("--profile", is_flag=True, help="Show where time and memory of the first steps went, layer by layer."),
    click.option("--resume", is_flag=True, help="Go on in the folder --out where a run was cut off, bit for bit."),
)


@contextlib.contextmanager
def naming_options() -> Iterator[None]:
    """What a recipe complains about is called as it is on the command line: batch_size is --batch-size."""
    try:
        yield
    except ArgumentError as error:
        message = re.sub(r"^Recipe: (\w+)", lambda found: "--" + found[1].replace("_", "-"), str(error))
        raise ArgumentError(message) from None
