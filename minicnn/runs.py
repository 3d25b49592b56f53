"""What ``minicnn train`` and ``minicnn demo`` do: build data, model, optimiser and schedule, train, test, say where."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import shlex
from dataclasses import dataclass, field

import click
import numpy as np

from . import anomaly, checkpoint, data, finetune, nn, plots, profiling, random
from ._version import __version__
from .data import transforms
from .data.augmentation import AUGMENTATIONS, usual_augmentation
from .device import check_device, set_num_threads
from .errors import ArgumentError, FileError
from .evaluation import evaluate
from .files import fresh_folder, replacing
from .nn import Module
from .recipe import Recipe
from .summary import summary
from .training import Trainer
from .weights import load

NAMES = {"model_options": "option", "on_error": "skip_unreadable"}  # what else an option is called
NOTE = "run.json"  # what is being trained, for --resume


@dataclass(frozen=True)
class Run:
    """What is trained on what, and how: all that the resulting weights follow from.

    Attributes
    ----------
    model, data : str
        Names, as for ``get_model`` and ``get_dataset``.
    recipe : Recipe
    seed : int
    variant, weights, freeze, model_options
        Of the model, see :func:`minicnn.finetune.build`.
    data_options : dict
        What the data set takes, such as ``{"size": 64}``.
    """

    model: str
    data: str
    recipe: Recipe
    seed: int = 0
    variant: str | None = None
    weights: str | None = None
    freeze: tuple[str, ...] = ()
    model_options: dict = field(default_factory=dict)
    data_options: dict = field(default_factory=dict)

    @classmethod
    def from_dict(cls, options: dict) -> Run:
        """A run from options in one row: those of a Run, of a Recipe and, all others, of the data set.

        >>> Run.from_dict({"model": "resnet20", "data": "digits", "epochs": 3}).recipe.epochs
        3
        """
        left = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        own = {f.name: left.pop(f.name) for f in dataclasses.fields(cls)[:-1] if f.name in left}
        recipe = Recipe(**{f.name: left.pop(f.name) for f in dataclasses.fields(Recipe) if f.name in left})
        return cls(**own, recipe=recipe, data_options=left)

    def to_dict(self) -> dict:
        """All options in one row, of JSON's types."""
        own = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("recipe", "data_options")
        }
        return {**own, "freeze": list(self.freeze), **self.data_options, **self.recipe.to_dict()}


def loaders(run: Run, model: Module) -> dict[str, data.Loader]:
    """Loaders of the three splits, normalised as the model's weights want it; training images are augmented.

    Images smaller than the model takes are enlarged by a whole factor. Padding comes after normalising, so that it is
    the mean grey (He et al. 2016, section 4.2, pad after subtracting the mean). Weights that were trained on colours
    are given grey images as three equal channels.
    """
    splits = {split: data.get_dataset(run.data, split, **run.data_options) for split in ("train", "val", "test")}
    augment = AUGMENTATIONS[run.recipe.augment or usual_augmentation(run.data)]
    channels, h, w = splits["train"].image_shape
    small = augment(channels, h, w)
    factor = max(1, -(-getattr(model, "smallest_image", 1) // min(small.size)))
    large = augment(channels, h * factor, w * factor)
    statistics = finetune.normalisation(model, splits["train"].statistics())
    grey = channels == 1 and len(statistics[0]) == 3
    normalize = [*([transforms.ToRGB()] if grey else []), transforms.Normalize(*statistics), transforms.Enlarge(factor)]
    augmented = transforms.Compose([*small.before, *normalize, *large.after])
    plain = transforms.Compose([*small.testing, *normalize])
    return {
        split: data.Loader(
            dataset,
            run.recipe.batch_size,
            shuffle=split == "train",
            seed=run.seed,
            transform=augmented if split == "train" else plain,
            workers=1,
        )
        for split, dataset in splits.items()
    }


def train(
    run: Run, out: str, *, device: str = "cpu", threads: int | None = None, checkpoint_every: int | None = None,
    resume: bool = False, detect_anomaly: bool = False, profile: bool = False,
) -> float:  # fmt: skip
    """Train as ``run`` says, in a new folder ``out``, or go on in it. Of the weights, those with the best validation
    accuracy are tested once, at the end. ``profile`` measures the first steps by layer.

    Returns
    -------
    float
        Test accuracy, 0 to 1.
    """
    check_device(device)
    if threads is not None:
        set_num_threads(threads)
    random.manual_seed(run.seed)
    known = data.get_dataset(run.data, "val", **run.data_options)  # has classes and shape of the larger training split
    model = finetune.build(
        run.model, len(known.classes), known.image_shape[0], run.variant, run.weights, run.freeze, run.model_options
    )
    by_split = loaders(run, model)
    model.to(device)
    recipe, dataset = run.recipe, by_split["train"].dataset
    optimizer = recipe.build_optimizer(model)
    schedule = recipe.build_schedule(optimizer, updates=-(-len(by_split["train"]) // recipe.accumulate))
    metadata = {"model": run.model, "data": run.data, "num_classes": str(len(dataset.classes)), "seed": str(run.seed)}
    metadata["run"] = json.dumps(finetune.describe(run, by_split["test"]))
    trainer = Trainer(
        model,
        optimizer,
        by_split["train"],
        by_split["val"],
        schedule=schedule,
        metadata=metadata,
        loss=nn.CrossEntropyLoss(recipe.label_smoothing),
        clip_norm=recipe.clip_norm,
        accumulate=recipe.accumulate,
        mixup=recipe.mixup,
        ema=recipe.ema,
        checkpoint_every=checkpoint_every,
        profile=profiling.profile(model, skip=3, steps=10) if profile else None,
    )
    images, _ = by_split["test"].load([0], epoch=0)
    table = summary(model, images.shape[1:], show=False)
    folder = trainer.out = pathlib.Path(out) if resume else fresh_folder(out)  # last: no mistake leaves a folder behind
    trainer.resume_command = (
        f"minicnn train --resume --out {shlex.quote(str(folder))}"
        + (f" --checkpoint-every {checkpoint_every}" if checkpoint_every is not None else "")
        + (f" --threads {threads}" if threads is not None else "")
        + (f" --device {device}" if device != "cpu" else "")
        + (" --detect-anomaly" if detect_anomaly else "")
    )
    click.echo(f"{run.model} on {dataset.name}: {len(dataset)} images {'x'.join(map(str, images.shape[1:]))}\n")
    click.echo(f"{table}\n")
    _tell_of_unreadable(by_split)
    if resume and not any((folder / name).exists() for name in (checkpoint.NEWEST, checkpoint.BEFORE)):
        click.echo(f"{folder} has no checkpoint yet: the run begins anew", err=True)
    elif resume:
        message = trainer.resume()
        click.echo(message or f"going on in {folder} after epoch {len(trainer.rows)}", err=True)
    else:
        write_note(run, folder)
    try:
        if len(trainer.rows) < recipe.epochs:
            with anomaly.detect_anomaly() if detect_anomaly else contextlib.nullcontext():
                trainer.fit(recipe.epochs - len(trainer.rows))
    finally:
        if {p.name for p in folder.iterdir()} <= {NOTE, "profile.csv"}:  # no epoch was finished, nothing to go on from
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    return test(model, by_split["test"], folder)


def test(model: Module, loader: data.Loader, folder: pathlib.Path) -> float:
    """Load the best weights of a run folder, test them, draw the confusion matrix; returns the accuracy."""
    classes = loader.dataset.classes
    model.load_state_dict(load(folder / "best.safetensors"))
    result = evaluate(model, loader)
    plots.confusion(result.confusion, classes, folder / "confusion.png")
    worst = np.argsort(result.per_class)[:3]  # NaN, a class without test images, sorts last
    hardest = ", ".join(f"{classes[k]} {100 * result.per_class[k]:.1f} %" for k in worst)
    click.echo(f"\nrun folder: {folder} (metrics.csv, curves.png, confusion.png, best.safetensors, last.safetensors)")
    click.echo(f"hardest classes: {hardest}")
    if len(classes) > 10:
        click.echo(f"test top-5 accuracy: {100 * result.top5:.1f} %")
    click.echo(f"test accuracy: {100 * result.accuracy:.1f} %")
    return result.accuracy


def _tell_of_unreadable(by_split: dict[str, data.Loader]) -> None:
    unreadable = [path for loader in by_split.values() for path in getattr(loader.dataset, "skipped", ())]
    if unreadable:
        click.echo(f"left out {len(unreadable)} pictures that cannot be read:", err=True)
        for path in unreadable:
            click.echo(f"  {path}", err=True)


def write_note(run: Run, folder: pathlib.Path) -> None:
    """Write down what is being trained."""
    with replacing(folder / NOTE) as temporary:
        temporary.write_text(json.dumps({"minicnn": __version__, **run.to_dict()}, indent=1) + "\n", encoding="utf-8")


def read_note(folder: str) -> dict:
    """What is being trained in a run folder, as :meth:`Run.to_dict` gives it.

    Raises
    ------
    FileError
        If the folder has no note, or a damaged one.
    """
    path = pathlib.Path(folder) / NOTE
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(
            f"no checkpoint to go on from in {folder}: {path} cannot be read ({error.strerror}); --out names the folder"
        ) from None
    except ValueError as error:
        raise FileError(f"{path} is damaged ({error})") from None
    if not isinstance(note, dict) or not {"model", "data"} <= note.keys():
        raise FileError(f"{path} is damaged: it does not say which model was trained on what")
    note.pop("minicnn", None)
    return note


def check_same(given: dict, note: dict, folder: str) -> None:
    """What is asked for on resuming must be what the run began with: else its weights would follow from neither."""
    for name, value in given.items():
        value = list(value) if isinstance(value, tuple) else value
        if note.get(name) != value:
            raise ArgumentError(
                f"--{NAMES.get(name, name).replace('_', '-')} is {value}, but the run in {folder} began with "
                f"{'its default' if note.get(name) is None else note[name]}; leave the option out to go on, or leave "
                f"--resume out to begin anew"
            )
