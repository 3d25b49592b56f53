"""``minicnn explain``: one page that shows how a network came to its answer."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
import numpy as np

from .errors import ArgumentError, DataError, FileError, suggest
from .files import fresh_file

DEFAULT = "resnet18"  # a small download
ENDINGS = (".png", ".svg", ".pdf", ".jpg")


@dataclass(frozen=True)
class Network:
    """A trained model, and what it takes to show it a photograph.

    Attributes
    ----------
    name : str
    model : Module
    channels : {1, 3}
        Grey or RGB.
    transform : callable
        From an image (channels, H, W), 0 to 1, to what the model was trained on.
    mean, std : tuple of float
        What ``transform`` subtracts last, and divides by.
    classes : sequence of str, or None
    """

    name: str
    model: object
    channels: int
    transform: Callable
    mean: Sequence[float]
    std: Sequence[float]
    classes: Sequence[str] | None = None

    def see(self, photo: str) -> tuple[np.ndarray, np.ndarray]:
        """The image as the model wants it, and the same as one sees it, from 0 to 1; both (C, H, W)."""
        image = self.transform(_read(photo, self.channels), np.random.default_rng(0))
        mean, std = (np.reshape(v, (-1, 1, 1)) for v in (self.mean, self.std))
        return image, np.clip(image * std + mean, 0, 1)


def _read(photo: str, channels: int) -> np.ndarray:
    from .data import opening

    if not pathlib.Path(photo).is_file():
        raise FileError(f"there is no picture {photo}")
    try:
        return opening.read(photo, channels)
    except Exception as error:  # of a damaged file, decoders raise almost anything
        raise DataError(f"{photo} cannot be read as a picture ({type(error).__name__}: {error})") from None


def open_network(name: str | None, weights: str | None) -> Network:
    """A model with weights: from a run folder, a published file, or any other file of weights.

    Parameters
    ----------
    name : str, optional
        The model; left out, what the weights say they are of.
    weights : str, optional
        A path, or "torchvision" (default).
    """
    from . import models
    from .models.pretrained import PUBLISHED, Preprocessing

    path = None if weights in (None, "torchvision") else pathlib.Path(weights)
    if path is not None and not path.is_file():
        raise FileError(f"there is no file of weights {path}")
    if path is not None and (path.parent / "run.json").is_file():
        return _of_a_run(path, name)
    if name is None and path is not None:
        name = next((p.model for p in PUBLISHED if p.file == path.name), None)
        if name is None:
            raise ArgumentError(f"--model is missing: {path} does not say what it is of, such as --model {DEFAULT}")
    name = name or DEFAULT
    try:
        model = models.get_model(name, weights=path or "torchvision")
    except ArgumentError as error:
        raise ArgumentError(f"{error}{'' if weights else '; --weights names a file of your own'}") from None
    published = model.loaded_weights.published
    channels, side, _ = models.input_size(name, model)
    if published is not None:
        how = published.preprocessing
    else:
        usual = Preprocessing(round(side * 256 / 224), side)
        how = dataclasses.replace(usual, mean=usual.mean[:channels], std=usual.std[:channels])
        click.echo(
            f"how images were prepared for {path} is not known; taken is what is usual for ImageNet: shorter side "
            f"{how.resize}, the middle {how.crop}, mean {how.mean}, deviation {how.std}",
            err=True,
        )
    return Network(name, model, channels, how.transform(), how.mean, how.std)


def _of_a_run(path: pathlib.Path, name: str | None) -> Network:
    """What ``minicnn train`` left: the note in its folder says on what data, and from that follow the classes and how
    images are prepared."""
    from . import models, runs
    from .data import get_dataset, transforms

    run = runs.Run.from_dict(runs.read_note(path.parent))
    if name not in (None, run.model):
        raise ArgumentError(f"{path} holds weights of {run.model}, not of {name}; leave --model out")
    known = get_dataset(run.data, "train", **run.data_options)
    channels, h, w = known.image_shape
    model = models.get_model(run.model, num_classes=len(known.classes), in_channels=channels, weights=path)
    as_tested = runs.loaders(run, getattr(model, "smallest_image", 1))["test"].transform
    resize = [transforms.Resize(h), transforms.CenterCrop(h)] if h == w else [transforms.Resize((h, w))]
    see, classes = transforms.Compose([*resize, as_tested]), [str(c) for c in known.classes]
    return Network(run.model, model, channels, see, *known.statistics(), classes)


def class_number(wanted: str, classes: Sequence[str] | None, count: int) -> int:
    """The number of a class, from its number or name."""
    if wanted.lstrip("-").isdigit() and not (classes and wanted in classes):
        number = int(wanted)
        if not 0 <= number < count:
            raise ArgumentError(f"--class {number}: the model knows {count} classes, 0 to {count - 1}")
        return number
    if classes is None:
        raise ArgumentError(
            f"--class {wanted!r}: the names of these classes are not known; give its number, 0 to {count - 1}"
        )
    by_name = {c.lower(): i for i, c in enumerate(classes)}
    if wanted.lower() not in by_name:
        raise ArgumentError(f"--class {wanted!r}: there is no such class; {suggest(wanted, by_name)}")
    return by_name[wanted.lower()]


@click.command()
@click.argument("photo", metavar="PHOTO")
@click.option("--model", "name", help=f"A name such as resnet50; left out, what the weights are of, or else {DEFAULT}.")
@click.option("--weights", help="A file of weights, of a run or any other, or torchvision (default; downloaded once).")
@click.option("--class", "wanted", metavar="N|NAME", help="Explain this class, not the most probable one.")
@click.option("--layer", metavar="PATH", help="For Grad-CAM and feature maps; a wrong one lists them.")
@click.option("--out", help="The page, .png, .svg or .pdf; default: PHOTO-explained.png here, numbered if it exists.")
def explain(photo: str, name: str | None, weights: str | None, wanted: str | None, layer: str | None, out: str | None):
    """What did the network see in a photo, and where? One page: the five most probable classes, saliency, guided
    backpropagation, Grad-CAM, occlusion, the first filters, feature maps.

    \b
    minicnn explain cat.jpg --model resnet50
    minicnn explain cat.jpg --weights runs/mine/best.safetensors --class cat
    """
    from . import inside, plots

    if out is not None and pathlib.Path(out).suffix.lower() not in ENDINGS:
        raise FileError(f"--out {out}: a page ends in {', '.join(ENDINGS)}")
    if not pathlib.Path(photo).is_file():  # before any download
        raise FileError(f"there is no picture {photo}")
    network = open_network(name, weights)
    image, shown = network.see(photo)
    every = inside.top_classes(network.model, image, 10**9)
    target = every[0][0] if wanted is None else class_number(wanted, network.classes, len(every))
    page = pathlib.Path(out) if out else fresh_file(f"{pathlib.Path(photo).stem}-explained.png")
    plots.explain(
        network.model, image, target, page, shown, network.classes, layer,
        title=f"{network.name} on {pathlib.Path(photo).name}", progress=True,
    )  # fmt: skip
    for k, probability in every[:5]:
        called = f"{k:5d}" if network.classes is None else f"{k:5d} {network.classes[k]}"
        click.echo(f"{100 * probability:6.1f} %  class {called}")
    click.echo(f"page: {page}")
