"""What ``minicnn train`` and ``minicnn demo`` do: build data, model, optimiser and schedule, train, test, say where."""

from __future__ import annotations

import contextlib
import pathlib
import shlex

import click
import numpy as np

from . import anomaly, data, models, nn, optim, plots, random
from .data import transforms
from .device import check_device, set_num_threads
from .errors import ArgumentError
from .files import fresh_folder
from .summary import summary
from .training import Trainer, evaluate
from .weights import load


def loaders(data_name: str, batch_size: int, seed: int, smallest: int = 1) -> dict[str, data.Loader]:
    """Loaders of the three splits, normalised by the training images' statistics; training images shift at random.

    Images smaller than ``smallest`` pixels are enlarged by a whole factor. Shifting comes after normalising, so that
    the padding is the mean grey (He et al. 2016, section 4.2, pad after subtracting the mean). It is by an eighth of
    the image: by 4 pixels at 32x32, as there, by 1 at 8x8.
    """
    splits = {split: data.get_dataset(data_name, split) for split in ("train", "val", "test")}
    side = min(splits["train"].image_shape[1:])
    factor = max(1, -(-smallest // side))
    normalize = transforms.Compose([transforms.Normalize(*splits["train"].statistics()), transforms.Enlarge(factor)])
    augment = transforms.Compose([normalize, transforms.PadCrop(side * factor // 8)])
    return {
        split: data.Loader(
            dataset,
            batch_size,
            shuffle=split == "train",
            seed=seed,
            transform=augment if split == "train" else normalize,
            workers=1,
        )
        for split, dataset in splits.items()
    }


def train(
    model_name: str, data_name: str, epochs: int, batch_size: int, lr: float, seed: int, out: str, device: str = "cpu",
    threads: int | None = None, checkpoint_every: int | None = None, resume: bool = False,
    clip_norm: float | None = None, accumulate: int = 1, label_smoothing: float = 0.0, detect_anomaly: bool = False,
) -> float:  # fmt: skip
    """Train a model by name on a data set by name (SGD with momentum 0.9, weight decay 1e-4, cosine schedule
    after a short warm-up).

    The weights of the best validation accuracy are tested once, at the end.

    Returns
    -------
    float
        Test accuracy, 0 to 1.
    """
    check_device(device)
    if epochs < 1:
        raise ArgumentError(f"--epochs must be >= 1, got {epochs}")
    if threads is not None:
        set_num_threads(threads)
    random.manual_seed(seed)
    dataset = data.get_dataset(data_name, "val")  # has the same classes and shape as the larger training split
    model = models.get_model(model_name, num_classes=len(dataset.classes), in_channels=dataset.image_shape[0])
    by_split = loaders(data_name, batch_size, seed, getattr(model, "smallest_image", 1))
    dataset = by_split["train"].dataset
    optimizer = optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    steps = -(-len(by_split["train"]) // max(accumulate, 1))  # updates of an epoch
    total = epochs * steps
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total, warmup=min(steps, total // 10))

    images, _ = by_split["test"].load([0], epoch=0)
    table = summary(model, images.shape[1:], show=False)
    metadata = {"model": model_name, "data": data_name, "num_classes": str(len(dataset.classes)), "seed": str(seed)}
    trainer = Trainer(
        model,
        optimizer,
        by_split["train"],
        by_split["val"],
        schedule=schedule,
        metadata=metadata,
        loss=nn.CrossEntropyLoss(label_smoothing),
        clip_norm=clip_norm,
        accumulate=accumulate,
        checkpoint_every=checkpoint_every,
    )
    folder = trainer.out = pathlib.Path(out) if resume else fresh_folder(out)  # last: no mistake leaves a folder behind
    trainer.resume_command = (
        f"minicnn train --model {model_name} --data {shlex.quote(data_name)} --epochs {epochs} "
        f"--batch-size {batch_size} --lr {lr:g} --seed {seed} --out {shlex.quote(str(folder))} --resume"
        + (f" --clip-norm {clip_norm:g}" if clip_norm is not None else "")
        + (f" --accumulate {accumulate}" if accumulate > 1 else "")
        + (f" --label-smoothing {label_smoothing:g}" if label_smoothing else "")
    )
    click.echo(f"{model_name} on {dataset.name}: {len(dataset)} images {'x'.join(map(str, images.shape[1:]))}\n")
    click.echo(f"{table}\n")
    if resume:
        message = trainer.resume()
        click.echo(message or f"going on in {folder} after epoch {len(trainer.rows)}", err=True)
    try:
        if len(trainer.rows) < epochs:
            with anomaly.detect_anomaly() if detect_anomaly else contextlib.nullcontext():
                trainer.fit(epochs - len(trainer.rows))
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # if no epoch was finished, it is empty

    model.load_state_dict(load(folder / "best.safetensors"))
    result = evaluate(model, by_split["test"])
    plots.confusion(result.confusion, dataset.classes, folder / "confusion.png")
    worst = np.argsort(result.per_class)[:3]  # NaN, a class without test images, sorts last
    hardest = ", ".join(f"{dataset.classes[k]} {100 * result.per_class[k]:.1f} %" for k in worst)
    click.echo(f"\nrun folder: {folder} (metrics.csv, curves.png, confusion.png, best.safetensors, last.safetensors)")
    click.echo(f"hardest classes: {hardest}")
    if len(dataset.classes) > 10:
        click.echo(f"test top-5 accuracy: {100 * result.top5:.1f} %")
    click.echo(f"test accuracy: {100 * result.accuracy:.1f} %")
    return result.accuracy
