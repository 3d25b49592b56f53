"""Figures of a network's inside. Public as ``minicnn.plots.filters`` and so on; each returns a matplotlib Figure and,
given a path, writes it too.

``image`` is always one image (C, H, W) as the model wants it; ``photo`` is the same picture before it was normalised,
from 0 to 1, to be drawn: left out, the image is rescaled.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..nn import Conv2d, Module
from ..ops import checks
from ..plots import finish, literal, new_figure, shortened
from . import panels
from .activations import activations
from .grad_cam import grad_cam as compute_grad_cam
from .guided import deconvnet
from .guided import guided_backprop as compute_guided
from .occlusion import occlusion as compute_occlusion
from .patches import Patch, picture, prepared
from .patches import strongest_patches as find_patches
from .saliency import saliency as compute_saliency
from .scores import check_model, choose, probabilities

Path = str | os.PathLike | None


def first_convolution(op: str, model: Module) -> tuple[str, Conv2d]:
    """Path and layer of the first convolution; a convolution is its own."""
    check_model(op, model)
    for path, module in model.named_modules():
        if isinstance(module, Conv2d):
            return path, module
    raise ArgumentError(f"{op}: {type(model).__name__} has no convolution")


def filters(model: Module, path: Path = None):
    """The filters of a model's first convolution, or of the convolution that is given (Krizhevsky et al. 2012, fig. 3).

    Filters of three channels are drawn in colour: each is the patch of image that it answers most to. Those of a layer
    further in stand in rows, one picture for each channel that they take, the first 16 of both. Grey is 0; each filter
    is scaled by its largest weight.

    Parameters
    ----------
    model : Module
        A model, or one convolution.
    path : path-like, optional
        Where to write the picture.
    """
    name, conv = first_convolution("filters", model)
    o, c, kh, kw = conv.weight.shape
    pictures, columns = panels.as_filters(conv.weight.data, most=256)
    figure = new_figure(5, 5 * (-(-len(pictures) // columns) * (kh + 1)) / (columns * (kw + 1)) + 0.55)
    axes = figure.subplots()
    panels.draw_photo(axes, panels.tiles(pictures, columns))
    shown = f"{o} filters of {c}x{kh}x{kw}"
    if c not in (1, 3):
        shown += f"\nrows: {min(o, 16)} of them, columns: what they do to {min(c, 16)} channels"
    axes.set_title(f"{literal(name or type(conv).__name__)}: {shown}", fontsize=9)
    return finish(figure, path)


def feature_maps(model: Module, image, layer: str, path: Path = None, n: int = 32):
    """What the channels of a layer give for an image, each scaled from black, its smallest, to white.

    Parameters
    ----------
    model : Module
    image : array, (C, H, W)
    layer : str
        Path, such as ``"layer1"``.
    path : path-like, optional
    n : int
        At most so many channels: those with the largest mean (of what is above 0).
    """
    maps = layer_maps("feature_maps", model, image, layer)
    chosen = panels.strongest(maps, checks.whole("feature_maps", "n", n))
    columns = min(8, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(max(1.1 * columns + 0.2, 3), rows * (1.1 * maps.shape[1] / maps.shape[2] + 0.22) + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, channel in zip(grid, chosen):
        panels.draw_photo(axes, panels.scaled(maps[channel]))
        axes.set_title(str(channel), fontsize=7, pad=2)
    which = f"{len(maps)} maps" if len(chosen) == len(maps) else f"the {len(chosen)} most active of {len(maps)} maps"
    _title(figure, f"{layer}: {which}, {maps.shape[1]}x{maps.shape[2]}")
    return finish(figure, path)


def _title(figure, text: str) -> None:
    """Above the figure, in as many lines as its width needs: a letter of this size is 0.075 inches wide."""
    figure.suptitle(textwrap.fill(literal(text), int(figure.get_figwidth() / 0.075)), fontsize=9)


def layer_maps(op: str, model: Module, image, layer: str) -> np.ndarray:
    """(C, H, W)"""
    maps = activations(model, image, [layer])[layer]
    if maps.ndim != 3:
        raise ShapeError(f"{op}: the layer {layer!r} gives no feature maps (C, H, W), but shape {maps.shape}")
    return maps


def saliency(
    model: Module, image, target: int | None = None, path: Path = None, photo=None, classes: Sequence[str] | None = None
):  # fmt: skip
    """The image, and how much the class's score depends on each pixel: see :func:`minicnn.inside.saliency`."""
    return _beside(
        "saliency", model, image, target, path, photo, classes,
        lambda axes, seen, k: panels.draw_saliency(axes, compute_saliency(model, image, k)),
    )  # fmt: skip


def guided_backprop(
    model: Module, image, target: int | None = None, path: Path = None, photo=None,
    classes: Sequence[str] | None = None, rule: str = "guided",
):  # fmt: skip
    """The image, and what in it speaks for the class: see :func:`minicnn.inside.guided_backprop`. Grey is nothing."""
    return _beside(
        "guided_backprop", model, image, target, path, photo, classes,
        lambda axes, seen, k: panels.draw_gradient(axes, compute_guided(model, image, k, rule)),
        rule if rule in ("deconvnet", "gradient") else None,
    )  # fmt: skip


def grad_cam(
    model: Module, image, target: int | None = None, path: Path = None, photo=None,
    classes: Sequence[str] | None = None, layer: str | None = None,
):  # fmt: skip
    """The image, and where the last feature maps speak for the class: see :func:`minicnn.inside.grad_cam`."""
    return _beside(
        "grad_cam", model, image, target, path, photo, classes,
        lambda axes, seen, k: panels.draw_heat(axes, seen, compute_grad_cam(model, image, k, layer)),
    )  # fmt: skip


def occlusion(
    model: Module, image, target: int | None = None, path: Path = None, photo=None,
    classes: Sequence[str] | None = None, **options,
):  # fmt: skip
    """The image, and where covering it costs the class most: see :func:`minicnn.inside.occlusion`, whose ``options``
    (``size``, ``stride``, ``progress`` ...) are taken."""
    return _beside(
        "occlusion", model, image, target, path, photo, classes,
        lambda axes, seen, k: panels.draw_heat(axes, seen, compute_occlusion(model, image, k, **options)),
    )  # fmt: skip


def _beside(op: str, model, image, target, path, photo, classes, draw: Callable, title: str | None = None):
    """The photo with class and probability above it, and beside it what ``draw(axes, photo, class)`` draws."""
    found = probabilities(op, model, image)
    target = choose(op, found, target)
    check_names(op, classes, len(found))
    seen = panels.as_picture(op, photo, image)
    figure = new_figure(6, 2.95 * seen.shape[1] / seen.shape[2] + 0.27)
    left, right = figure.subplots(1, 2)
    panels.draw_photo(left, seen)
    left.set_title(f"{name_of(target, classes)}: {100 * found[target]:.1f} %", fontsize=9)
    draw(right, seen, target)
    right.set_title(title or op.replace("_", " "), fontsize=9)
    return finish(figure, path)


def check_names(op: str, classes: Sequence[str] | None, count: int) -> None:
    """One name for each of the model's ``count`` classes, or none at all."""
    if classes is not None and (not hasattr(classes, "__len__") or len(classes) != count):
        raise ArgumentError(
            f"{op}: classes are a list of {count} names, one for each class of the model; got {classes!r:.80}"
        )


def name_of(target: int, classes: Sequence[str] | None) -> str:
    """``"tabby (281)"``, or ``"class 281"`` if nobody knows the names, or they are numbers."""
    name = f"class {target}" if classes is None else str(classes[target])
    if name in (f"class {target}", str(target)):
        return f"class {target}"
    return f"{literal(shortened(name.split(',')[0], 28))} ({target})"


def strongest_patches(
    model: Module, images, layer: str, channels: int | Sequence[int], path: Path = None, n: int = 9,
    transform: Callable | None = None, rule: str | None = "guided", **options,
):  # fmt: skip
    """ZFNet's figure 2: for each channel the patches that excite it most, and what in them does.

    Parameters
    ----------
    model, images, layer, channels, n, transform
        As for :func:`minicnn.inside.strongest_patches`, which also takes ``options``: ``batch_size``, ``progress``.
    path : path-like, optional
    rule : {"guided", "deconvnet", "gradient"} or None
        Beside each patch its projection by :func:`minicnn.inside.deconvnet`; grey is nothing. None: patches only. The
        paper's rule is "deconvnet", which shows little in networks without max-pooling.
    """
    found = find_patches(model, images, layer, channels, n, transform, **options)
    n = min(n, len(images))
    columns = int(np.ceil(np.sqrt(n)))
    rows, halves = -(-n // columns), 2 if rule else 1
    across = min(len(found), 3)
    down = -(-len(found) // across)
    wide = max(columns * 0.75, 1)  # inches; one column is narrower than the words above it
    figure = new_figure(max(across * halves * wide + 0.2, 3), down * (rows * 0.75 + 0.3) + 0.3)
    blocks = np.ravel(figure.subfigures(down, across * halves, squeeze=False, wspace=0.03))
    for i, (channel, patches) in enumerate(found.items()):
        size = tuple(max(p.pixels.shape[axis] for p in patches) for axis in (1, 2))
        shown = [panels.as_picture("strongest_patches", None, p.pixels) for p in patches]
        cut = [framed(pixels, p, size, images, 1.0) for pixels, p in zip(shown, patches)]
        _block(blocks[i * halves], cut, rows, columns, f"channel {channel}", panels.draw_photo)
        if rule:
            drawn = [_projection(model, images, layer, channel, p, transform, rule) for p in patches]
            drawn = [framed(pixels, p, size, images, 0.0) for pixels, p in zip(drawn, patches)]
            _block(blocks[2 * i + 1], drawn, rows, columns, "what excites it", panels.draw_gradient)
    _title(figure, f"{layer}: strongest patches of {len(images)} images")
    return finish(figure, path)


def framed(pixels: np.ndarray, patch: Patch, size: tuple[int, int], images, value: float) -> np.ndarray:
    """A patch that was cut off at the image's edge, filled up there to ``size`` (h, w): its unit is in the middle."""
    widths = [(0, 0)]
    for axis, whole in zip((0, 1), picture(images, patch.index).shape[1:]):
        missing = size[axis] - pixels.shape[1 + axis]
        at_start, at_end = patch.box[axis] == 0, patch.box[axis + 2] == whole
        before = missing // 2 if at_start == at_end else missing * at_start
        widths.append((before, missing - before))
    return np.pad(pixels, widths, constant_values=value)


def _projection(model, images, layer: str, channel: int, patch: Patch, transform, rule: str) -> np.ndarray:
    image = prepared("strongest_patches", model, images, patch.index, transform)
    top, left, bottom, right = patch.box
    return deconvnet(model, image, layer, channel, patch.unit, rule)[:, top:bottom, left:right]


def _block(figure, pictures: list[np.ndarray], rows: int, columns: int, title: str, draw: Callable) -> None:
    figure.suptitle(title, fontsize=8)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, shown in zip(grid, pictures):
        draw(axes, shown)
