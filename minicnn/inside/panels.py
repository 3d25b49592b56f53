"""What one picture of a figure shows: drawn into axes that are there already."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..plots import literal
from ..tensor import as_array

GREY = "0.45"  # of explanations, beside black titles
LEAST = 64  # pixels of a side that a small picture is enlarged to
SMOOTH = 200  # pixels of a side that a coarse map is drawn with, at least
BRIGHT = 99  # per cent of the pixels are drawn within the scale: a single extreme one would darken all others


def as_picture(op: str, photo, image) -> np.ndarray:
    """(3 or 1, H, W) from 0 to 1: the photo itself, or what can be seen of the image that the model is given."""
    image = as_array(image)
    if photo is None:
        low, high = float(image.min()), float(image.max())
        shown = image if low >= 0 and high <= 1 else (image - low) / max(high - low, 1e-12)
        return shown if len(shown) in (1, 3) else shown.mean(0, keepdims=True)
    photo = as_array(photo)
    if photo.dtype.kind not in "fiub":
        raise ArgumentError(f"{op}: the photo is an array of numbers from 0 to 1, or uint8; got {photo.dtype}")
    if photo.ndim != 3 or len(photo) not in (1, 3) or photo.shape[1:] != image.shape[1:]:
        raise ShapeError(
            f"{op}: the photo must be what the model sees, before it is normalised: (3, {image.shape[1]}, "
            f"{image.shape[2]}), got shape {photo.shape}"
        )
    photo = photo / 255 if photo.dtype == np.uint8 else photo
    if photo.size and not (photo.min() >= -0.5 and photo.max() <= 1.5):
        raise ArgumentError(
            f"{op}: the photo goes from 0 to 1, or is uint8; this one, from {photo.min():g} to {photo.max():g}"
        )
    return np.clip(photo, 0, 1)


def title(axes, text: str, explanation: str = "") -> None:
    """A title, and below it a smaller line that says what is seen."""
    axes.set_title(text, fontsize=10, pad=14, fontweight="bold")
    below = axes.annotate(
        literal(explanation), (0.5, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", ha="center",
        va="bottom", fontsize=7.5, color=GREY,
    )  # fmt: skip
    below.set_in_layout(False)  # a long line must not make the picture smaller


def draw_photo(axes, photo: np.ndarray) -> None:
    """(1 or 3, H, W) from 0 to 1; small pictures keep their pixels' edges."""
    axes.set_axis_off()
    way = "nearest" if max(photo.shape[1:]) <= 64 else "antialiased"
    shown = photo[0] if len(photo) == 1 else photo.transpose(1, 2, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation=way)


def draw_saliency(axes, amounts: np.ndarray) -> None:
    """(H, W), >= 0: black is nothing."""
    axes.set_axis_off()
    axes.imshow(amounts, cmap="inferno", vmin=0, vmax=max(np.percentile(amounts, BRIGHT), 1e-30))


def draw_gradient(axes, gradient: np.ndarray) -> None:
    """(C, H, W) of both signs: grey is nothing."""
    scale = max(np.percentile(np.abs(gradient), BRIGHT), 1e-30)
    shown = gradient if len(gradient) in (1, 3) else gradient.mean(0, keepdims=True)
    draw_photo(axes, np.clip(0.5 + shown / (2 * scale), 0, 1))


def draw_heat(axes, photo: np.ndarray, heat: np.ndarray) -> None:
    """A coarse map (h, w) over the photo, in grey: where the map is 0 or less only the photo is seen."""
    factor = -(-SMOOTH // max(photo.shape[1:]))  # the map goes smoothly over the pixels of a small picture too
    grey = photo.mean(0).repeat(factor, axis=0).repeat(factor, axis=1)
    axes.set_axis_off()
    axes.imshow(grey, cmap="gray", vmin=-0.15, vmax=1.15, interpolation="antialiased")
    share = np.clip(heat / max(heat.max(), 1e-30), 0, 1)
    fine = np.clip(_enlarged(share, grey.shape), 0, 1)  # (H, W)
    axes.imshow(fine, cmap="turbo", vmin=-0.15, vmax=1, alpha=0.75 * fine**0.7)


def _enlarged(coarse: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from ..data.transforms.resizing import resize

    return resize(coarse[None].astype(np.float32), size, "bicubic")[0]


def tiles(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Pictures (C, h, w) of one size as one picture with thin white lines between; what is missing at the end is white.

    Each pixel becomes several, so that the lines are thin beside small pictures too.

    >>> tiles([np.zeros((1, 32, 32))] * 3, columns=2).shape
    (1, 132, 132)
    """
    channels, h, w = pictures[0].shape
    factor = -(-LEAST // max(h, w))
    h, w, rows = h * factor, w * factor, -(-len(pictures) // columns)
    gap = max(1, max(h, w) // 16)
    sheet = np.ones((channels, rows * (h + gap) - gap, columns * (w + gap) - gap))
    for i, picture in enumerate(pictures):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        large = picture.repeat(factor, axis=1).repeat(factor, axis=2)
        sheet[:, top : top + h, left : left + w] = large
    return sheet


def as_filters(weight: np.ndarray, most: int) -> tuple[list[np.ndarray], int]:
    """Filters as pictures from 0 to 1, each scaled by its largest weight, grey is 0; and how many stand in a row.

    Parameters
    ----------
    weight : array, (O, C, KH, KW)
        With C = 3 each filter is a coloured picture, with C = 1 a grey one. Of others each row is a filter, and each
        picture in it what the filter does to one channel.
    """
    weight = weight[:most]
    scale = np.maximum(np.abs(weight).max((1, 2, 3), keepdims=True), 1e-30)
    shown = 0.5 + weight / (2 * scale)
    if weight.shape[1] in (1, 3):
        return list(shown), int(np.ceil(np.sqrt(len(shown) * 1.5)))
    shown = shown[:16, :16]
    return [channel[None] for row in shown for channel in row], shown.shape[1]


def strongest(maps: np.ndarray, n: int) -> np.ndarray:
    """Numbers of the ``n`` channels that are most active on the whole, in their own order. maps: (C, H, W)"""
    return np.sort(np.argsort(-np.maximum(maps, 0).mean((1, 2)), kind="stable")[:n])


def scaled(one_map: np.ndarray) -> np.ndarray:
    """A map (H, W) as a picture (1, H, W), from its smallest to its largest value."""
    low, high = one_map.min(), one_map.max()
    return ((one_map - low) / max(high - low, 1e-30))[None]
