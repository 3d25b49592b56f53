"""``minicnn table``: what a model is made of, before anything is trained."""

from __future__ import annotations

import click

from .cli_options import Setting
from .errors import ArgumentError
from .kernels import shapes


class Size(click.ParamType):
    """Images as 3x227x227, or one number for RGB squares."""

    name = "CxHxW"

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        try:
            sides = tuple(int(part) for part in value.lower().split("x"))
        except ValueError:
            sides = ()
        if len(sides) == 1:
            sides = (3, *sides, *sides)
        if len(sides) != 3 or min(sides) < 1:
            self.fail(f"{value!r} is no size such as 3x227x227", param, ctx)
        return sides


#: what --option cannot set, and what does
TAKEN = {
    "num_classes": "the number of outputs is given by --classes",
    "variant": "the variant is given by --variant",
    "name": "the model's name is given by the argument MODEL",
    "weights": "a model here has shapes but no numbers, and needs no weights",
}


def model_options(command):
    """Decorator: which model, and what of it."""
    for option in (
        click.option("--classes", type=int, help="Outputs; default: the paper's."),
        click.option("--option", "settings", type=Setting(), multiple=True, help="Of the model, such as shortcut=B."),
        click.option("--variant", help="Such as lecture or torchvision; a wrong one lists them."),
        click.option("--input", "size", type=Size(), help="Image, such as 3x227x227; default: the paper's."),
    ):
        command = option(command)
    return click.argument("name", metavar="MODEL")(command)


def shape_of_model(name: str, size, variant, settings, classes):
    """A model that has shapes but no numbers, its image size, and a title."""
    from . import models

    settings = dict(settings)
    for setting in settings:
        if setting in TAKEN:
            raise ArgumentError(f"--option {setting}=...: {TAKEN[setting]}")
    with shapes.shapes_only():
        model = models.get_model(name, num_classes=classes, variant=variant, **settings)
    size = size or models.input_size(name, model)
    extras = [variant, *(f"{k}={v}" for k, v in settings.items())]
    return model, size, " ".join([name, *(e for e in extras if e), "x".join(map(str, size))])


@click.command()
@model_options
@click.option("--csv", "form", flag_value="csv", help="Whole numbers, one line a layer.")
@click.option("--json", "form", flag_value="json", help="All figures, and the totals.")
@click.option("--markdown", "form", flag_value="markdown", help="For a README or a notebook.")
@click.option("--pools", is_flag=True, help="Count pools in memory and operations.")
@click.option("--training", is_flag=True, help="As in training: with auxiliary classifiers.")
@click.option("--batch-size", type=int, help="Add the memory of a training step with so many images.")
@click.option("--optimizer", default="sgd", show_default=True, help="Whose state that memory includes.")
def table(name, size, variant, settings, classes, form, pools, training, batch_size, optimizer) -> None:
    """The lecture's table of a model: shapes, memory, parameters, multiply-adds, receptive field.

    \b
    minicnn table alexnet --variant lecture
    minicnn table resnet50 --markdown
    minicnn table vgg16 --batch-size 32
    """
    from .summary import summary
    from .training_memory import training_memory

    if batch_size is not None and form:
        raise ArgumentError(f"--batch-size goes with the table as text, not with --{form}")
    model, size, title = shape_of_model(name, size, variant, settings, classes)
    result = summary(model, size, show=False, training=training, pools=pools, title=title)
    click.echo(result.to(form or "text"))
    if batch_size is not None:
        click.echo(f"{training_memory(model, size, batch_size, optimizer)}.")
