"""``minicnn classify`` and ``minicnn evaluate``: using a trained network."""

from __future__ import annotations

import json
import pathlib
import re
import textwrap

import click
import numpy as np

from .cli_options import picture_options, together
from .errors import DataError

network_options = together(
    click.option("--model", help="Whose weights they are, if the file does not say so; default: mobilenet_v2."),
    click.option("--weights", help="A file, a run folder, or 'torchvision' (default): its published ones."),
    click.option("--variant", help="Of the model."),
    click.option("--threads", type=int, help="CPU threads."),
)
BAR = 30  # characters for 100 %


@click.command()
@click.argument("paths", metavar="PICTURE...", nargs=-1, required=True)
@network_options
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="How many classes to name.")
@click.option("--json", "as_json", is_flag=True, help="For other programs.")
def classify(paths, model, weights, variant, threads, top, as_json) -> None:
    """Say what is on pictures, or on all pictures in folders.

    \b
    minicnn classify photo.jpg
    minicnn classify photos --model resnet18 --weights resnet18-f37072fd.pth
    minicnn classify face.png --weights runs/resnet20-faces
    """
    from . import recognition

    files = list(recognition.pictures(paths))
    recogniser = open_network(model, weights, variant, threads)
    found = []
    for file in files:
        try:
            image = recognition.read(file, recogniser.channels)
            with recognition.about(file):
                p = recogniser.probabilities(image)
        except DataError as error:
            if len(files) == 1:
                raise
            click.echo(f"left out: {error}", err=True)
            continue
        best = np.argsort(-p, kind="stable")[:top]
        answers = [{"class": int(k), "name": recogniser.classes[k], "probability": float(p[k])} for k in best]
        found.append({"file": str(file), "top": answers})
        if not as_json:
            _print(found[-1])
    if not found:
        raise DataError(f"none of the {len(files)} pictures could be used")
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif recogniser.classes[:1] == ["class 0"]:
        click.echo("\nfor names: pip install 'minicnn-from-scratch[names]'", err=True)
    tell(recogniser)


def open_network(model, weights, variant, threads):
    from . import recognition
    from .device import set_num_threads

    if threads is not None:
        set_num_threads(threads)
    return recognition.load(weights, model, variant)


def tell(recogniser) -> None:
    """What the user should know about the answer."""
    if recogniser.note:
        click.echo(f"note: {recogniser.note}", err=True)


def _print(found: dict) -> None:
    names = [textwrap.shorten(answer["name"], 40, placeholder=" ...") for answer in found["top"]]
    click.echo(found["file"])
    for name, answer in zip(names, found["top"]):
        bar = "█" * round(BAR * answer["probability"])
        click.echo(f"  {name:<{max(map(len, names))}}  {100 * answer['probability']:5.1f} %  {bar}".rstrip())


@click.command()
@network_options
@click.option("--data", help="A name or folder:DIR; default: what the weights were trained on.")
@click.option("--split", default="test", show_default=True, type=click.Choice(["train", "val", "test"]))
@click.option(
    "--crops", type=click.Choice(["1", "10"]), default="1", show_default=True, help="Windows of each picture."
)
@picture_options
@click.option(
    "--out", help="Folder for confusion.png, mistakes.png and evaluation.json; a number is added if it exists."
)
def evaluate(model, weights, variant, threads, data, split, crops, out, **options) -> None:
    """How good is a network on a data set: top-1, top-5, classes, the worst mistakes.

    \b
    minicnn evaluate --weights runs/resnet20-digits
    minicnn evaluate --model resnet18 --weights resnet18-f37072fd.pth --data folder:photos --crops 10
    """
    from . import judgement, plots, recognition
    from .files import fresh_folder, replacing

    options = {name: value for name, value in options.items() if value is not None}
    recogniser = open_network(model, weights, variant, threads)
    probabilities, labels, dataset = recognition.judge(recogniser, data, split, crops == "10", **options)
    result = judgement.evaluation(probabilities, labels)
    name = f"{recogniser.name} on {dataset.name}: {len(labels)} images"
    click.echo(f"{name}\ntop-1 accuracy: {100 * result.accuracy:.2f} %\ntop-5 accuracy: {100 * result.top5:.2f} %")
    folder = fresh_folder(out or pathlib.Path("runs") / re.sub(r"[^\w.-]+", "-", f"evaluate-{recogniser.name}"))
    known = np.unique(np.concatenate([labels, probabilities.argmax(1)]))  # of a thousand classes, those that came
    matrix = result.confusion[np.ix_(known, known)]
    plots.confusion(matrix, [recogniser.classes[k] for k in known], folder / "confusion.png")
    worst = judgement.worst_mistakes(probabilities, labels)
    if len(worst):
        judgement.draw_mistakes(recogniser, dataset, probabilities, labels, worst, folder / "mistakes.png")
    figures = {"images": result.images, "top1": result.accuracy, "top5": result.top5, "crops": int(crops)}
    with replacing(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps({"model": recogniser.name, "data": dataset.name, **figures}, indent=1) + "\n")
    click.echo(f"in {folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}")
    tell(recogniser)
