"""Beginning with weights that somebody trained: which layers learn on, and how images are prepared for them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from . import models
from .data.transforms import Normalize
from .errors import ArgumentError, suggest
from .models.loading import existing
from .nn import Module
from .weights import load_metadata


def build(name: str, classes: int, channels: int, variant=None, weights=None, freeze=(), options=None) -> Module:
    """A model by name for a data set; with ``weights``, all that fits is theirs, and a head for other classes is new.

    Parameters
    ----------
    name : str
    classes, channels : int
        Of the data set. With weights, the number of channels is theirs.
    variant : str, optional
    weights : path or "torchvision", optional
    freeze : iterable of str
        Layers that shall not learn, such as ``"features"``.
    options : dict, optional
        The builder's own.
    """
    options = dict(options or {})
    for taken in ("name", "num_classes", "variant", "weights"):
        if taken in options:
            raise ArgumentError(f"{name}: {taken} is no option of the model's builder, but has a place of its own")
    if weights not in (None, "torchvision"):
        weights = existing(name, weights)
        described = metadata_of(weights)
        variant = variant or described.get("variant")
        options = {**described.get("options", {}), **options}
        channels = described.get("input_size", [3])[0]
    if models.registry.takes(name, "in_channels") and (weights is None or channels != 3):
        options.setdefault("in_channels", channels)
    model = models.get_model(name, num_classes=classes, variant=variant, weights=weights, **options)
    freeze_layers(model, freeze)
    return model


def freeze_layers(model: Module, names: Iterable[str]) -> None:
    """Take the parameters of these layers, and of all inside them, out of learning.

    Raises
    ------
    ArgumentError
        There is no such layer, or nothing is left to learn.
    """
    paths = [path for path, _ in model.named_modules() if path]
    for name in names:
        if name not in paths:
            outer = [path for path in paths if "." not in path]
            raise ArgumentError(f"freeze: there is no layer {name!r}; {suggest(name, outer)}")
        for path, parameter in model.named_parameters():
            if path.startswith(f"{name}."):
                parameter.requires_grad_(False)
    if not any(p.requires_grad for p in model.parameters()):
        raise ArgumentError(f"freeze: with {', '.join(names)} frozen, nothing is left to learn")


def normalisation(model: Module, statistics: tuple) -> tuple:
    """Mean and standard deviation per channel that a model's images should be normalised with.

    Those that its weights were trained with, if they are known; of unknown weights, what is usual for the model; of
    none, the training images' ``statistics``.
    """
    loaded = getattr(model, "loaded_weights", None)
    if loaded is None:
        return statistics
    own = metadata_of(loaded.path)
    return (own["mean"], own["std"]) if "mean" in own else (loaded.preprocessing.mean, loaded.preprocessing.std)


def describe(run, loader) -> dict:
    """What ``minicnn classify`` and ``evaluate`` must know of a run to use its weights, of JSON's types."""
    steps = loader.transform.transforms
    normalize = next(step for step in steps if isinstance(step, Normalize))
    images, _ = loader.load([0], epoch=0)
    return {
        "model": run.model, "variant": run.variant, "options": dict(run.model_options),
        "classes": list(loader.dataset.classes), "input_size": list(images.shape[1:]),
        "run": run.to_dict(), "mean": normalize.mean.ravel().tolist(), "std": normalize.std.ravel().tolist(),
    }  # fmt: skip


def metadata_of(path) -> dict:
    """What ``minicnn train`` wrote into a file of weights about how it was trained; empty for other files."""
    if not str(path).endswith(".safetensors"):
        return {}
    try:
        return json.loads(load_metadata(path).get("run", "{}"))
    except ValueError:
        return {}
