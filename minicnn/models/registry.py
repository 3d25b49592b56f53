"""Models by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ArgumentError, suggest
from ..nn import Module
from ..ops import checks
from .own import builder_from, is_file, stamp

_MODELS: dict[str, _Entry] = {}
MOST_CLASSES = 10**6  # larger heads are slips of the finger: they would not fit into memory
_FILES: dict[str, tuple[_Entry, tuple]] = {}  # FILE.py:NAME -> it, and which state of the file it was read from
#: parameters that an option can be given to
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class _Entry:
    builder: Callable[..., Module]
    num_classes: int  # of the paper's data set
    variants: tuple[str, ...]  # the first is the default
    input_size: tuple[int, int, int]  # (C, H, W), the paper's


def register_model(
    name: str, num_classes: int = 1000, variants: tuple[str, ...] = ("paper",),
    input_size: tuple[int, int, int] = (3, 224, 224),
) -> Callable:  # fmt: skip
    """Decorator: make a builder available as ``get_model(name)``; a student's own included.

    ::

        @models.register_model("tiny", num_classes=10)
        def tiny(num_classes, in_channels=3):
            return nn.Sequential(...)

    The builder takes ``num_classes``, any options of its own, and ``variant`` if it has more than one. ``minicnn
    train`` also passes ``in_channels``, 1 for grey images. ``input_size``, (C, H, W), is what tables and drawings show
    it on; a model whose variants differ in this has an attribute ``input_size`` of its own.
    """

    def add(builder: Callable[..., Module]) -> Callable[..., Module]:
        if not _takes(builder, "num_classes"):
            raise ArgumentError(f"register_model({name!r}): the builder must take num_classes")
        _MODELS[name] = _Entry(builder, num_classes, variants, tuple(input_size))
        return builder

    return add


def list_models() -> list[str]:
    """All names, sorted; models in files of one's own are not among them."""
    return sorted(_MODELS)


def input_size(name: str, model: Module | None = None) -> tuple[int, int, int]:
    """(C, H, W) of the images that a model was made for in its paper."""
    own = getattr(model, "input_size", None)
    return own if own is not None else _entry(name).input_size


def num_classes(name: str) -> int:
    """Of the data set that a model was made for in its paper."""
    return _entry(name).num_classes


def variants(name: str) -> tuple[str, ...]:
    """The default first."""
    return _entry(name).variants


def takes(name: str, option: str) -> bool:
    """Whether a model can be given ``option``: its builder names it, or takes any (``**kwargs``)."""
    return _takes(_entry(name).builder, option)


def _takes(builder: Callable, option: str) -> bool:
    parameters = inspect.signature(builder).parameters.values()
    return any(p.kind is p.VAR_KEYWORD or p.name == option and p.kind in BY_NAME for p in parameters)


def _entry(name: str) -> _Entry:
    if is_file(name) and name not in _MODELS:
        return _in_file(name)
    if name not in _MODELS:
        raise ArgumentError(f"there is no model {name!r}; {suggest(name, _MODELS)}")
    return _MODELS[name]


def _in_file(name: str) -> _Entry:
    """Read again when the file was edited: a notebook lives longer than a version of a model."""
    entry, read = _FILES.get(name, (None, None))
    now = stamp(name)
    if entry is None or read != now:
        entry = _Entry(builder_from(name), 10, ("paper",), (3, 224, 224))
        _FILES[name] = entry, now
    return entry


def _check_options(name: str, builder: Callable, options: dict) -> None:
    """Each option is one of the builder's, and none that it cannot do without is missing."""
    own = [p for p in inspect.signature(builder).parameters.values() if p.name != "num_classes"]
    for option in options:
        if not _takes(builder, option):
            known = ", ".join(p.name for p in own if p.kind in BY_NAME)
            raise ArgumentError(f"{name} has no option {option!r}; it has {known or 'none'}")
    for parameter in own:
        if parameter.kind in BY_NAME and parameter.default is parameter.empty and parameter.name not in options:
            raise ArgumentError(
                f"{name} needs the option {parameter.name}; give --option {parameter.name}=..., in Python "
                f"get_model({name!r}, {parameter.name}=...)"
            )


def get_model(name: str, num_classes: int | None = None, variant: str | None = None, weights=None, **options) -> Module:
    """Build a model.

    Parameters
    ----------
    name : str
        One of :func:`list_models`, or ``"FILE.py:NAME"``, a class or function of your own that takes ``num_classes``.
    num_classes : int, optional
        Outputs; left out, those of the paper's data set: 1000 for ImageNet, 10 for CIFAR-10 and MNIST.
    variant : str, optional
        Where the paper, the lecture or torchvision differ; the model's docstring lists its variants. Left out: the
        variant that the weights were trained with, if that is known, or else the paper's.
    weights : path or "torchvision", optional
        A file of weights to load (.safetensors, .npz, PyTorch's .pth), or the ones that torchvision publishes for this
        model, which are downloaded once (``models.pretrained`` lists them). What was loaded, and what was not, stands
        in ``model.loaded_weights``. With a ``num_classes`` that the file's head does not fit, the head stays new and
        all else is loaded.
    **options
        The builder's own, such as ``shortcut="B"`` or ``in_channels=1``.

    Raises
    ------
    ArgumentError
        If there is no such model, variant or option; the message lists those there are. Or the weights are known to be
        of another variant.
    FileError
        If the weights are missing, damaged, or do not fit.

    Examples
    --------
    >>> get_model("resnet20", num_classes=5, in_channels=1).num_parameters()
    269109
    """
    entry = _entry(name)
    if variant is not None and variant not in entry.variants:
        raise ArgumentError(f"{name} has no variant {variant!r}; it has {', '.join(entry.variants)}")
    source = None
    if weights is not None:
        from .loading import Source

        options = dict(options)
        source = Source(name, weights, options)
        variant = source.variant(variant, entry.variants[0])
    if len(entry.variants) > 1:
        options["variant"] = variant or entry.variants[0]
    classes = checks.whole(name, "num_classes", entry.num_classes if num_classes is None else num_classes)
    if classes > MOST_CLASSES:
        raise ArgumentError(f"{name}: num_classes must be from 1 to {MOST_CLASSES:,}, got {classes:,}")
    _check_options(name, entry.builder, options)
    model = entry.builder(num_classes=classes, **options)
    if not isinstance(model, Module):
        raise ArgumentError(f"{name}: its builder must return a Module, but returned {model!r}; is its return missing?")
    if source is not None:
        source.load_into(model, num_classes is not None, lambda: entry.builder(num_classes=classes + 1, **options))
    return model
