"""What transforms ask of their image, their generator and their options, and what they say if it is not so."""

from __future__ import annotations

import numpy as np

from ...errors import ArgumentError, DataError, DtypeError, ShapeError
from ...ops import checks


class Described:
    """Gives a transform its repr: the call that made it, with four digits of each number."""

    def __new__(cls, *arguments, **options):
        made = super().__new__(cls)
        made._made_by = arguments, options
        return made

    def __repr__(self) -> str:
        arguments, options = self._made_by
        words = [*map(_short, arguments), *(f"{name}={_short(value)}" for name, value in options.items())]
        return f"{type(self).__name__}({', '.join(words)})"


def _short(value) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        inside = ", ".join(map(_short, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else repr(value)


def image(op: str, value, channels: tuple[int, ...] = ()) -> np.ndarray:
    """An array (C, H, W); if ``channels`` are given, C is one of them."""
    if not isinstance(value, np.ndarray):
        raise ShapeError(f"{op} takes an image as an array (C, H, W), got {type(value).__name__}; np.asarray makes one")
    shape = value.shape
    if value.ndim != 3:
        hints = {
            2: "; give it its channel axis with image[None]",
            4: "; a transform takes one image, not a batch (TenCrop makes ten of one: put it last)",
        }
        raise ShapeError(f"{op} takes an image (C, H, W), got shape {shape}{hints.get(value.ndim, '')}")
    if shape[2] in (1, 3) and shape[0] > 4:
        raise ShapeError(
            f"{op} takes an image (C, H, W), got shape {shape}, which looks like (H, W, C); "
            "turn it with image.transpose(2, 0, 1)"
        )
    if 0 in shape:
        raise ShapeError(f"{op}: there are no pixels in an image of shape {shape}")
    if channels and len(value) not in channels:
        wanted = " or ".join(map(str, channels))
        hint = "; ToRGB() before it makes three of one" if len(value) == 1 else ""
        raise ShapeError(f"{op} takes an image of {wanted} channels (C, H, W), got shape {shape}{hint}")
    return value


def floats(op: str, value, channels: tuple[int, ...] = ()) -> np.ndarray:
    """An image of float32 pixels; other floats are converted."""
    value = image(op, value, channels)
    if value.dtype.kind != "f":
        hint = "image.astype('float32') / 255" if value.dtype == np.uint8 else "image.astype('float32')"
        raise DtypeError(f"{op} computes in float32, got pixels of {value.dtype}; convert with {hint}")
    return value.astype(np.float32, copy=False)


def unit(op: str, value, channels: tuple[int, ...] = ()) -> np.ndarray:
    """Float pixels in 0 to 1, or nearly: bicubic resizing and lighting go a little beyond."""
    value = floats(op, value, channels)
    low, high = float(value.min()), float(value.max())
    if not (low >= -0.5 and high <= 1.5):
        if not np.isfinite(value).all():
            raise DataError(f"{op} takes pixels of 0 to 1, and the image holds NaN or infinity; leave it out")
        hint = "divide them by 255" if low >= 0 and high > 10 else "put it before Normalize"
        raise DataError(f"{op} takes pixels of 0 to 1, got {low:.4g} to {high:.4g}; {hint}")
    return value


def generator(op: str, rng) -> np.random.Generator:
    """The generator of a transform that draws."""
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(
            f"{op} draws from a NumPy generator, got {type(rng).__name__}; "
            "call it as transform(image, np.random.default_rng(0))"
        )
    return rng


def interval(op: str, name: str, value, low: float, high: float = np.inf) -> tuple[float, float]:
    """Two numbers in order, both from ``low`` to ``high``."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentError(f"{op}: {name} must be two numbers (low, high), got {value!r}")
    first, last = (checks.number(op, name, v, low, high) for v in value)
    if first > last:
        raise ArgumentError(f"{op}: {name} is an empty range, {value!r}; put the lower number first")
    return first, last


def numbers(op: str, name: str, value) -> np.ndarray:
    """An array of finite numbers, as float64."""
    try:
        result = np.asarray(value, np.float64)
    except (TypeError, ValueError):  # text, a ragged list, something else altogether
        result = None
    if result is None or not np.isfinite(result).all():
        raise ArgumentError(f"{op}: {name} must be finite numbers, got {value!r}")
    return result


def fits(op: str, size: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int]:
    """How many rows and columns are left over when ``size`` (h, w) is cut out of an image (C, H, W)."""
    down, right = shape[1] - size[0], shape[2] - size[1]
    if down < 0 or right < 0:
        raise ShapeError(
            f"{op}: a crop {size[0]} high and {size[1]} wide does not fit an image {shape[1]} high and {shape[2]} "
            f"wide; put Resize({max(size)}) before it"
        )
    return down, right
