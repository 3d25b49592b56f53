"""What the experiments that train share: the digits, one way to train, errors in per cent, and small networks.

The digits are 8x8 pixels, so the networks are the paper's with fewer maps: 8, 16, 32 on 8x8, 4x4, 2x2 in place of
16, 32, 64 on 32x32, 16x16, 8x8. Depths and blocks are the paper's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import minicnn as mc

from .. import nn
from ..data import ArrayDataset, Loader, digits
from ..errors import DivergedError
from ..evaluation import evaluate
from ..models.residual import BasicBlock, conv3x3, stage, start_weights
from ..optim import SGD
from ..optim.lr_scheduler import LambdaLR
from ..training import Trainer
from .base import Value

STAGES = ((8, 1), (16, 2), (32, 2))  # maps, stride of the stage's first block
CLASSES, BATCH = 10, 64
CHANCE = 100 * (1 - 1 / CLASSES)  # error in % of a network that always says the same


def standardised(split: str, images: int | None = None) -> ArrayDataset:
    """Digits less the mean of the training images, over their standard deviation.

    Parameters
    ----------
    split : {"train", "held-out"}
        1,261 images, or the 536 for validation and testing together: nothing is chosen by them here.
    images : int, optional
        The first so many only.
    """
    (mean,), (std,) = digits("train").statistics()
    parts = [digits(name) for name in (("train",) if split == "train" else ("val", "test"))]
    pixels = np.concatenate([part.images for part in parts])[:images]  # (N, 1, 8, 8)
    labels = np.concatenate([part.labels for part in parts])[:images]
    return ArrayDataset((pixels - mean) / std, labels, range(CLASSES), f"digits ({split})")


def train(
    model: nn.Module, images: ArrayDataset, *, seed: int, epochs: int, lr: float, rate: Callable[[float], float],
    weight_decay: float = 1e-4, clip_norm: float | None = None, after_epoch: Callable[[], object] = lambda: None,
) -> list[dict]:  # fmt: skip
    """Train with SGD, momentum 0.9, batches of 64, the order drawn from ``seed``.

    Parameters
    ----------
    rate : callable
        epochs so far (a fraction too) -> factor on ``lr``.
    after_epoch : callable
        Such as a bar's ``update``.

    Returns
    -------
    list of dict
        ``train_loss`` and ``error`` (in %) of each epoch: means over its batches, each before its update. From the
        epoch on in which the loss became infinite or NaN both are NaN.
    """
    loader = Loader(images, BATCH, shuffle=True, seed=seed)
    optimizer = SGD(model.parameters(), lr, momentum=0.9, weight_decay=weight_decay)
    schedule = LambdaLR(optimizer, lambda update: rate(update / len(loader)))
    trainer = Trainer(model, optimizer, loader, schedule=schedule, clip_norm=clip_norm, progress=False)
    found = [{"train_loss": np.nan, "error": np.nan} for _ in range(epochs)]
    for epoch in range(epochs):
        try:
            row = trainer.fit(1)[-1]
        except DivergedError:
            break
        found[epoch] = {"train_loss": row["train_loss"], "error": 100 * (1 - row["train_accuracy"])}
        after_epoch()
    return found


def drops_at(*epochs: float, warm_up: float = 0) -> Callable[[float], float]:
    """A factor for :func:`train`: times 0.1 at each of these epochs, and 0.1 during the first ``warm_up`` epochs."""
    return lambda now: 0.1 if now < warm_up else 0.1 ** sum(now >= epoch for epoch in epochs)


def error(model: nn.Module, images: ArrayDataset) -> float:
    """Per cent of the images that the model, in evaluation mode, gets wrong."""
    return round(100 * (1 - evaluate(model, Loader(images, 256)).accuracy), 3)


def by_seed(seeds: tuple[int, ...], values: list[float], **labels: Value) -> dict[str, Value]:
    """A table's row: the labels, a column "seed 0" ... for each seed, and their mean.

    >>> by_seed((0, 1), [2.0, 3.0], network="plain-8")
    {'network': 'plain-8', 'seed 0': 2.0, 'seed 1': 3.0, 'mean': 2.5}
    """
    return {**labels, **{f"seed {s}": v for s, v in zip(seeds, values)}, "mean": round(float(np.mean(values)), 3)}


def of_seeds(row: dict[str, Value]) -> list[float]:
    """The values of :func:`by_seed`."""
    return [value for key, value in row.items() if key.startswith("seed ")]


def spread(values: np.ndarray) -> str:
    """Mean and its standard error, as "0.50 +- 0.12"."""
    return f"{values.mean():.2f} +- {values.std(ddof=1) / len(values) ** 0.5:.2f}"


def by_epoch(values: list[float], **labels: Value) -> dict[str, Value]:
    """A row for a figure: the labels, and a column "epoch 1" ... for each epoch."""
    return {**labels, **{f"epoch {i}": round(v, 3) for i, v in enumerate(values, start=1)}}


def epochs_of(row: dict[str, Value]) -> np.ndarray:
    """The values of :func:`by_epoch`, NaN where training had broken down."""
    return np.array([value for key, value in row.items() if key.startswith("epoch ")], float)


def chosen(rows: list[dict[str, Value]], **labels: Value) -> list[dict[str, Value]]:
    """The rows that have these labels."""
    return [row for row in rows if all(row[key] == value for key, value in labels.items())]


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """A model whose weights start from ``seed``."""
    mc.manual_seed(seed)
    return build()


def network(depth: int, shortcut: str | None) -> nn.Sequential:
    """plain-``depth`` (``shortcut`` None) or ResNet-``depth`` of He et al., section 4.2, with 8, 16, 32 maps."""
    layers, channels = [conv3x3(1, STAGES[0][0]), nn.BatchNorm2d(STAGES[0][0]), nn.ReLU()], STAGES[0][0]
    for maps, stride in STAGES:  # (N, 8, 8, 8), (N, 16, 4, 4), (N, 32, 2, 2)
        layers.append(stage(BasicBlock, channels, maps, stride, (depth - 2) // 6, shortcut=shortcut))
        channels = maps
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    start_weights(model)
    return model
