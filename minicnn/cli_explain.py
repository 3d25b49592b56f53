"""``minicnn explain``: one page that shows how a network came to its answer."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence

import click
import numpy as np

from .cli_recognise import network_options, open_network, tell
from .errors import ArgumentError, DataError, FileError, suggest
from .files import free_name, kind_of, named

ENDINGS = (".png", ".svg", ".pdf", ".jpg")


@click.command()
@click.argument("picture", metavar="PICTURE")
@network_options
@click.option("--class", "wanted", metavar="N|NAME", help="Explain this class, not the most probable one.")
@click.option("--layer", metavar="PATH", help="For Grad-CAM and feature maps; a wrong one lists them.")
@click.option("--out", help="The page, .png, .svg or .pdf; default: PICTURE-explained.png here, numbered if it exists.")
def explain(picture, model, weights, variant, threads, wanted, layer, out) -> None:
    """What did a network see in a picture, and where? One page: the five most probable classes, saliency, guided
    backpropagation, Grad-CAM, occlusion, the first filters, feature maps.

    \b
    minicnn explain photo.jpg
    minicnn explain photo.jpg --model resnet50 --class 281 --layer layer3
    minicnn explain face.png --weights runs/resnet20-faces
    """
    from . import plots, recognition

    if out is not None and pathlib.Path(out).suffix.lower() not in ENDINGS:
        raise FileError(f"--out {out}: a page ends in {', '.join(ENDINGS)}")
    if kind_of(picture) != "file":  # before any download
        raise DataError(f"there is no file {named(picture)}")
    recogniser = open_network(model, weights, variant, threads)
    photo = recognition.read(pathlib.Path(picture), recogniser.channels)
    with recognition.about(picture):
        found = recogniser.probabilities(photo)  # (K,)
    target = int(found.argmax()) if wanted is None else class_number(wanted, recogniser.classes)
    image, shown = seen(recogniser, photo)
    page = pathlib.Path(out) if out else free_name(f"{pathlib.Path(picture).stem}-explained.png")
    plots.explain(
        recogniser.model, image, target, page, shown, recogniser.classes, layer,
        title=f"{recogniser.name} on {pathlib.Path(picture).name}", progress=True,
    )  # fmt: skip
    click.echo(f"{recogniser.classes[target]}: {100 * found[target]:.1f} %\npage: {page}")
    tell(recogniser)


def seen(recogniser, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image as the model takes it, and the same for the eye, from 0 to 1: before it was normalised."""
    image = recogniser.prepare(photo)
    normalize = recogniser.prepare.transforms[-1]
    return image, np.clip(image * normalize.std + normalize.mean, 0, 1)


def class_number(wanted: str, classes: Sequence[str]) -> int:
    """The number of a class by its name, one of its names (those of ImageNet have commas between), or its number.

    >>> class_number("tabby", ["dog", "cat, tabby"]), class_number("0", ["dog", "cat, tabby"])
    (1, 0)
    """
    from .recognition import numbers_of

    by_name = numbers_of(list(classes))
    meant = by_name.get(wanted.strip().lower(), [])
    if len(meant) > 1:
        raise ArgumentError(f"--class {wanted}: it may be {' or '.join(map(str, meant))}; say which number")
    if meant:
        return meant[0]
    if not re.fullmatch("-?[0-9]{1,9}", wanted):
        known = suggest(wanted, by_name)
        hint = known + (" " if known.endswith("?") else "; ") if len(known) < 200 else ""
        raise ArgumentError(
            f"--class {named(repr(wanted))}: no class is called that; {hint}a number would do, 0 to {len(classes) - 1}"
        )
    if not 0 <= int(wanted) < len(classes):
        raise ArgumentError(f"--class {wanted}: the network knows {len(classes)} classes, 0 to {len(classes) - 1}")
    return int(wanted)
