"""``minicnn draw``: a model as a picture."""

from __future__ import annotations

import re

import click

from .cli_models import model_options, shape_of_model
from .files import free_name


@click.command()
@model_options
@click.option("--out", help="Picture, .svg, .png or .pdf; default: MODEL.svg here. A number is added if it exists.")
@click.option("--training", is_flag=True, help="As in training: with auxiliary classifiers.")
def draw(name, size, variant, settings, classes, out, training) -> None:
    """Draw a model's architecture: layers, branches, shortcuts, map sizes; equal blocks in a row once.

    \b
    minicnn draw resnet50
    minicnn draw googlenet --training --out googlenet.png
    minicnn draw shufflenet_v1 --option groups=8 --input 3x128x128
    """
    from .diagram import architecture

    model, size, title = shape_of_model(name, size, variant, settings, classes)
    if out is None:
        out = re.sub(r"[^\w.-]+", "-", name).strip("-.") + ".svg"  # mynet.py:Net
    path = free_name(out)
    architecture(model, size, path, title.rsplit(" ", 1)[0], training)  # the picture says the image's size itself
    click.echo(f"wrote {path}")
