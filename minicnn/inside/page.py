"""The page of ``minicnn explain``: one photo, and all that can be seen of how a network came to its answer."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..nn import Module
from ..plots import finish, literal, new_figure, shortened
from . import panels
from .activations import activations, stages
from .grad_cam import grad_cam
from .guided import guided_backprop
from .occlusion import occlusion
from .pictures import check_names, first_convolution, layer_maps, name_of
from .saliency import saliency
from .scores import choose, probabilities

MAPS = 8  # in a row


def explain(
    model: Module, image, target: int | None = None, path: str | os.PathLike | None = None, photo=None,
    classes: Sequence[str] | None = None, layer: str | None = None, title: str = "", progress: bool = False,
):  # fmt: skip
    """One page: the photo, the five best classes, saliency, guided backpropagation, Grad-CAM, occlusion, filters of the
    first layer, and feature maps.

    Parameters
    ----------
    model : Module
        A classifier; left as it was.
    image : array, (C, H, W)
        Prepared as the model wants it.
    target : int, optional
        The class to explain; left out, the one with the largest score.
    path : path-like, optional
        Where to write the page.
    photo : array, (3, H, W), optional
        The image before it was normalised, from 0 to 1; left out, the image is rescaled.
    classes : sequence of str, optional
        Names of the classes.
    layer : str, optional
        For Grad-CAM, and the only one whose feature maps are drawn; left out, Grad-CAM takes the last convolution, and
        maps are drawn of three layers.
    title : str
    progress : bool
        Show a bar for the occlusion map, which takes longest.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = probabilities("explain", model, image)
    target = choose("explain", found, target)
    check_names("explain", classes, len(found))
    seen = panels.as_picture("explain", photo, image)
    maps = _maps(model, image, layer)
    heat = grad_cam(model, image, target, layer)
    figure = new_figure(11, 9.8)
    figure.get_layout_engine().set(w_pad=0.07, h_pad=0.05)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(3.1, 3.1, 3.3))
    _answer(top, seen, found, target, classes)
    grid = middle.subplots(1, 4)
    panels.draw_saliency(grid[0], saliency(model, image, target))
    panels.title(grid[0], "Saliency", "pixels that the score depends on")
    panels.draw_gradient(grid[1], guided_backprop(model, image, target))
    panels.title(grid[1], "Guided backpropagation", "what speaks for the class")
    panels.draw_heat(grid[2], seen, heat)
    panels.title(
        grid[2], "Grad-CAM", f"where {shortened(layer or 'the last maps', 30)} speak{'s' if layer else ''} for it"
    )
    panels.draw_heat(grid[3], seen, occlusion(model, image, target, progress=progress))
    panels.title(grid[3], "Occlusion", "where a grey square costs most")
    _inside(bottom, model, maps)
    if title:
        figure.suptitle(literal(shortened(title, 80)), fontsize=12)
    return finish(figure, path)


def _maps(model: Module, image, layer: str | None) -> dict[str, np.ndarray]:
    if layer is not None:
        return {layer: layer_maps("explain", model, image, layer)}
    maps = activations(model, image)
    return {path: maps[path] for path in stages(maps)}


def _answer(figure, photo, found: np.ndarray, target: int, classes) -> None:
    """The photo, and bars of the five most probable classes; the explained one is coloured, and added if it is not
    among them."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 3))
    panels.draw_photo(left, photo)
    left.set_anchor("N")
    panels.title(left, "What the network is given", f"{photo.shape[1]}x{photo.shape[2]} pixels")
    best = [int(k) for k in np.argsort(-found, kind="stable")[:5]]
    best += [] if target in best else [target]
    places = range(len(best))
    colours = ["tab:orange" if k == target else "0.75" for k in best]
    bars = right.barh(places, [100 * found[k] for k in best], color=colours, height=0.62)
    right.bar_label(bars, [f"{100 * found[k]:.1f} %" for k in best], padding=4, fontsize=9)
    right.set_yticks(places, [name_of(k, classes) for k in best], fontsize=10)
    right.get_yticklabels()[best.index(target)].set_color("tab:orange")  # its bar may be too short to be seen
    right.set(xlim=(0, 112), xticks=[], ylim=(len(best) - 0.4, -0.6))
    right.spines[["top", "right", "bottom"]].set_visible(False)
    right.tick_params(length=0)
    panels.title(right, "What it answers", "probability; the maps below explain the coloured class")


def _inside(figure, model: Module, maps: dict[str, np.ndarray]) -> None:
    """Filters of the first layer; a row of feature maps for each of several layers, or three of one."""
    left, right = figure.subfigures(1, 2, width_ratios=(1, 3))
    name, conv = first_convolution("explain", model)
    pictures, columns = panels.as_filters(conv.weight.data, most=96)
    axes = left.subplots()
    panels.draw_photo(axes, panels.tiles(pictures, columns))
    axes.set_anchor("N")
    o, _, kh, kw = conv.weight.shape
    panels.title(axes, "First filters", f"{name}: {o} of {kh}x{kw}")
    rows = right.subplots(len(maps), 1, squeeze=False)[:, 0]
    for i, (axes, (path, array)) in enumerate(zip(rows, maps.items())):
        chosen = panels.strongest(array, MAPS * (3 if len(maps) == 1 else 1))
        panels.draw_photo(axes, panels.tiles([panels.scaled(array[k]) for k in chosen], MAPS))
        how_many = "all" if len(chosen) == len(array) else f"the {len(chosen)} most active of"
        says = f"{path}: {how_many} {len(array)} maps, {array.shape[1]}x{array.shape[2]}"
        axes.set_anchor("N")
        if i == 0:
            panels.title(axes, "Feature maps", says)
        else:
            axes.set_title(literal(says), fontsize=7.5, color=panels.GREY, pad=3)
