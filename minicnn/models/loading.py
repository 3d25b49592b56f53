"""Weights from a file into a model: names of today, the file's own variant, a new head for other classes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from ..errors import ArgumentError, FileError
from ..files import kind_of
from ..kernels import shapes_only
from ..nn import Module
from ..old_names import modernise
from ..weights import load
from . import pretrained
from .pretrained import Preprocessing, Published

AUXILIARY = ("aux1.", "aux2.")  # GoogLeNet's heads in the middle, which a model may be built without


class LoadedWeights(NamedTuple):
    """What ``get_model(..., weights=...)`` did; the model keeps it as ``model.loaded_weights``.

    Attributes
    ----------
    path : pathlib.Path
    published : Published or None
        The entry of ``models.pretrained`` with preprocessing and classes, if it is a published file.
    preprocessing : Preprocessing
        Its, or else what is usual for the model.
    left_out : list of str
        Names in the file that the model has no use for: those of the old head.
    fresh : list of str
        Names in the model that start at random: those of the new head.
    """

    path: pathlib.Path
    published: Published | None
    preprocessing: Preprocessing
    left_out: list[str]
    fresh: list[str]


class Source:
    """Where a model's weights come from, and what this means for the model.

    Parameters
    ----------
    model : str
        As for ``get_model``.
    weights : "torchvision", or a path
    options : dict
        The model's options; what the weights need is set in it.

    Raises
    ------
    ArgumentError
        The weights are of another width, or torchvision has none.
    FileError
        There is no such file, or it is not what its name says.
    """

    def __init__(self, model: str, weights, options: dict) -> None:
        self.model, self.path = model, None
        if weights == "torchvision":
            self.published = pretrained.find(model, options.get("width", 1.0))
        else:
            self.path = existing(model, weights)
            self.published = pretrained.recognise(self.path, model)
        if self.published is not None:
            width = self.published.width
            if width is not None and options.setdefault("width", width) != width:
                raise ArgumentError(f"{self.file} is of {model} with width={width}, not {options['width']!r}")
            for name, value in self.published.options.items():
                options.setdefault(name, value)

    @property
    def file(self) -> str:
        return self.published.file if self.path is None else str(self.path)

    def variant(self, asked: str | None, default: str) -> str:
        """The variant to build: the one asked for, the weights' own, or else the model's default.

        Raises
        ------
        ArgumentError
            The variant that was asked for computes something else than the weights were trained for.
        """
        if self.published is None:
            return asked or default
        if asked is not None and asked not in self.published.variants:
            raise ArgumentError(
                f"{self.file} holds weights of {self.model}'s variant {' or '.join(self.published.variants)}; "
                f"with variant={asked!r} its outputs would be wrong: leave variant out"
            )
        return asked or self.published.variants[0]

    def load_into(self, model: Module, new_head: bool, other: Callable[[], Module]) -> None:
        """Fetch and read the file, copy it into the model, and note in ``model.loaded_weights`` what was not copied.

        Parameters
        ----------
        model : Module
        new_head : bool
            Where the last layers do not fit, leave them as they are.
        other : callable
            Makes the same model with another number of classes: what differs in shape is the head.
        """
        path = pretrained.fetch(self.published) if self.path is None else self.path
        state = modernise(load(path), self.model)
        own = model.state_dict()
        left_out = [k for k in state if self.model == "googlenet" and k.startswith(AUXILIARY) and k not in own]
        state = {k: array for k, array in state.items() if k not in left_out}
        misfits = {k for k, array in own.items() if k not in state or state[k].shape != array.shape}
        head = head_of(own, other) if misfits else []
        fresh = head if new_head and misfits & set(head) else []
        left_out += [k for k in fresh if k in state]
        try:
            model.load_state_dict({**state, **{k: own[k] for k in fresh}})
        except FileError as error:
            hint = "; give num_classes to begin with a new head" if misfits <= set(head) and not new_head else ""
            raise FileError(f"{path}: {error}{hint}") from None
        usual = pretrained.usual_preprocessing(self.model)[0]
        preprocessing = usual if self.published is None else self.published.preprocessing
        model.loaded_weights = LoadedWeights(path, self.published, preprocessing, left_out, fresh)


def existing(model: str, weights) -> pathlib.Path:
    """``weights`` as a path to a file; a run folder of ``minicnn train`` stands for its best weights."""
    try:
        path = pathlib.Path(weights)
    except TypeError:
        raise ArgumentError(
            f"{model}: weights is a path, or 'torchvision' for its published ones; got {type(weights).__name__}"
        ) from None
    if kind_of(weights) == "folder":
        best = path / "best.safetensors"
        if not best.is_file():
            raise FileError(f"{path} is a folder, but of no run: there is no file {best}; name a file of weights")
        return best
    if kind_of(weights) != "file":
        load(weights)  # raises, and says what is there instead
    return path


def head_of(own: dict, other: Callable[[], Module]) -> list[str]:
    """Names of the arrays whose shape depends on the number of classes."""
    with shapes_only():
        shapes = {name: array.shape for name, array in other().state_dict().items()}
    return [name for name, array in own.items() if shapes.get(name) != array.shape]
