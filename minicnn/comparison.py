"""What every architecture costs beside the error that was published for it (Canziani, Culurciello & Paszke 2017, "An
Analysis of Deep Neural Network Models for Practical Applications").

Costs are counted from the models themselves, run for their shapes alone; errors are those of ``models/published.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import comparison_table, models
from .errors import ArgumentError
from .kernels import shapes
from .models import registry
from .models.published import FIGURES, LARGE, ONE, SMALL, Figure
from .summary import summary
from .training_memory import training_memory

FAMILIES = {  # how a model's name begins
    "alexnet": "AlexNet, ZFNet", "zfnet": "AlexNet, ZFNet", "vgg": "VGG", "googlenet": "GoogLeNet", "plain": "plain",
    "resnet": "ResNet", "preact": "pre-activation", "resnext": "ResNeXt", "mobilenet": "MobileNet",
    "shufflenet": "ShuffleNet", "efficientnet": "EfficientNet", "lenet": "LeNet",
}  # fmt: skip
FAMILY_ORDER = [*dict.fromkeys(FAMILIES.values()), "other"]
DATA = tuple(comparison_table.TITLES)


@dataclass(frozen=True)
class Network:
    """One row.

    Attributes
    ----------
    name, variant, options
        What ``get_model`` takes.
    family : str
    input_size : (C, H, W)
    params, macs : int
        Multiply-adds of one image: convolutions and linear layers.
    memory : int
        Bytes of the outputs of convolutions and linear layers, of one image.
    training_memory : int
        Bytes that the backward needs of one image, and the image; auxiliary heads included.
    data : str
        What it was made for: one of ``DATA``.
    top1, top5 : float or None
        Published errors in per cent.
    protocol, source : str
        How the error was measured, and where it stands.
    """

    name: str
    variant: str | None
    options: dict
    family: str
    input_size: tuple[int, int, int]
    params: int
    macs: int
    memory: int
    training_memory: int
    data: str
    top1: float | None = None
    top5: float | None = None
    protocol: str = ""
    source: str = ""

    @property
    def setting(self) -> str:
        """Variant and options in words, as far as they are not the default: "torchvision", "width=0.5 groups=3"."""
        words = [self.variant] if self.variant not in (None, "paper") else []
        return " ".join([*words, *(f"{name}={value}" for name, value in self.options.items())])

    @property
    def label(self) -> str:
        """Short, for a picture."""
        options = {"width": "{}", "groups": "g{}", "shortcut": "{}", "cardinality": "{}x"}
        words = [self.variant] if self.variant not in (None, "paper", "torchvision") else []
        for name, value in self.options.items():
            words.append(options.get(name, "{}" if isinstance(value, str) else f"{name}={{}}").format(value))
        if self.protocol in (LARGE, SMALL):
            words.append(f"{self.input_size[1]} px")
        return " ".join([self.name, *words])

    @property
    def one_crop(self) -> bool:
        """Whether its error is one of the usual, comparable kind."""
        return self.protocol == ONE


def natural(name: str) -> list:
    """Key that sorts resnet18 before resnet101."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


#: what rows can be sorted by
KEYS = {
    "name": lambda r: natural(r.name),
    "params": lambda r: r.params,
    "macs": lambda r: r.macs,
    "memory": lambda r: r.memory,
    "training": lambda r: r.training_memory,
    "top1": lambda r: r.top1,
    "top5": lambda r: r.top5,
}


class Comparison(tuple):
    """The rows (:class:`Network`) that :func:`compare` found. Prints as a table."""

    def sort(self, key: str, reverse: bool = False) -> Comparison:
        """By one of ``KEYS``, smallest first; rows without such a figure stand last either way.

        Rows for other data sets stay apart: an error on CIFAR-10 is no error on ImageNet.
        """
        if key not in KEYS:
            raise ArgumentError(f"compare: cannot sort by {key!r}; there are {', '.join(KEYS)}")
        known = [r for r in self if KEYS[key](r) is not None]
        unknown = [r for r in self if KEYS[key](r) is None]
        rows = sorted(known, key=KEYS[key], reverse=reverse) + unknown
        return Comparison(sorted(rows, key=lambda r: DATA.index(r.data)))

    def to(self, form: str) -> str:
        """The table as ``"text"``, ``"csv"``, ``"json"`` or ``"markdown"``."""
        forms = comparison_table.FORMS
        if form not in forms:
            raise ArgumentError(f"Comparison.to: there is no form {form!r}; there are {', '.join(forms)}")
        return forms[form](self)

    def __str__(self) -> str:
        return self.to("text")

    def __repr__(self) -> str:
        return f"<Comparison: {len(self)} rows>"


def compare(names: Iterable[str] = (), every: bool = False) -> Comparison:
    """Tabulate models: parameters, multiply-adds, memory, published error.

    Parameters
    ----------
    names : iterable of str
        Which models, with everything that is known of them; none: all models, each network once.
    every : bool
        Of all models too, list all variants, trials of options, and second figures for the same network.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        If there is no such model.
    """
    names = list(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in names:
        models.input_size(name)  # complains if there is none
    chosen = names or models.list_models()
    figures = [f for f in FIGURES if f.model in chosen]
    if not (names or every):
        figures = list(_first_of_each_network(f for f in figures if f.main))
    figures += _without_figures(sorted(chosen, key=natural), figures, bool(names or every))
    counted: dict = {}  # costs by network: some have several figures
    rows = [_row(f, counted) for f in figures]
    return Comparison(sorted(rows, key=lambda r: (DATA.index(r.data), FAMILY_ORDER.index(r.family))))


def _first_of_each_network(figures: Iterable[Figure]) -> Iterator[Figure]:
    """torchvision's copy of a network counts as the same."""
    seen = set()
    for figure in figures:
        variant = figure.variant if figure.variant not in ("paper", "torchvision") else None
        network = figure.model, variant, figure.size, repr(figure.options)
        if network not in seen:
            seen.add(network)
            yield figure


def _without_figures(names: list[str], figures: list[Figure], all_variants: bool) -> Iterator[Figure]:
    """Models of which nothing is published here; where all variants are wanted, those too."""
    found = {(f.model, f.variant or registry.variants(f.model)[0]) for f in figures}
    for name in names:
        variants = registry.variants(name)
        if not all_variants:
            variants = () if any(model == name for model, _ in found) else variants[:1]
        for variant in variants:
            if (name, variant) not in found:
                yield Figure(name, variant, None, None, "", "", data=_made_for(name))


def _made_for(name: str) -> str:
    classes, size = registry.num_classes(name), models.input_size(name)
    return {(1000, 3): "ImageNet", (10, 3): "CIFAR-10", (10, 1): "MNIST"}.get((classes, size[0]), "other")


def family(name: str) -> str:
    """Of a model, by the beginning of its name."""
    return next((FAMILIES[start] for start in FAMILIES if name.startswith(start)), "other")


def _row(figure: Figure, counted: dict) -> Network:
    network = figure.model, figure.variant, figure.size, repr(figure.options)
    if network not in counted:
        counted[network] = _count(figure)
    return Network(
        name=figure.model, variant=figure.variant, options=figure.options, family=family(figure.model),
        **counted[network], data=figure.data, top1=figure.top1, top5=figure.top5, protocol=figure.protocol,
        source=figure.source,
    )  # fmt: skip


def _count(figure: Figure) -> dict:
    with shapes.shapes_only():
        model = models.get_model(figure.model, variant=figure.variant, **figure.options)
    size = models.input_size(figure.model, model)
    size = (size[0], figure.size, figure.size) if figure.size else size
    table = summary(model, size, show=False)
    return {
        "input_size": size, "params": table.total_params, "macs": table.total_macs, "memory": table.total_memory,
        "training_memory": training_memory(model, size).activations,
    }  # fmt: skip
