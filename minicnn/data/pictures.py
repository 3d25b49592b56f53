"""Grids of pictures: what a data set holds, what a loader hands to the model, what a transform does."""

from __future__ import annotations

import os
import textwrap

import numpy as np

from .. import plots
from ..errors import ArgumentError, DataError, ShapeError
from ..ops import checks
from ..tensor import Tensor

INCH = 1.1  # width of a picture
ROWS = 8  # of pictures, at most, where the caller does not say how many


def show(images, labels=None, classes=None, columns: int = 8, path: str | os.PathLike | None = None, n=None, title=""):
    """Draw pictures side by side.

    Pixels of 0 to 1 are drawn as they are. If any lie outside, as after Normalize, all pictures of the grid are
    rescaled together from their smallest to their largest value, and the title says so.

    Parameters
    ----------
    images : array (N, C, H, W), list of arrays (C, H, W), data set, loader, or batch (images, labels)
        C is 1 or 3; uint8 means 0 to 255. Of a data set the first images are drawn; of a loader the beginning of the
        batch that comes next, augmented, without taking it away.
    labels : sequence, optional
        One number or name per picture, written above it.
    classes : sequence of str, optional
        Names of the labels 0, 1, ...; data sets bring their own.
    columns : int
    path : path-like, optional
        Where to write the picture.
    n : int, optional
        How many pictures; as many as there are, at most eight rows.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = checks.whole("show", "columns", columns)
    n = ROWS * columns if n is None else checks.whole("show", "n", n)
    images, own_labels, own_classes, total, name = _samples(images, n)
    labels = own_labels if labels is None else labels
    classes = own_classes if classes is None else classes
    pictures = [_picture(image, i) for i, image in enumerate(images)]
    if not pictures:
        raise DataError("show: there are no pictures to draw")
    captions = _captions(labels, classes, len(pictures) if total is None else total)[: len(pictures)]
    if total is not None and total > len(pictures):
        name = f"{name + ': ' if name else ''}the first {len(pictures)} of {total}"
    return _draw(pictures, captions, columns, path, "\n".join(filter(None, (title or name, _rescale(pictures)))))


def preview(transform, image, n: int = 16, seed: int = 0, path: str | os.PathLike | None = None, columns: int = 8):
    """The picture itself, then ``n - 1`` times what a transform makes of it.

    Parameters
    ----------
    transform : callable(image, rng) -> image
    image : array, (C, H, W)
        Floats in 0 to 1.
    n : int
    seed : int
    path, columns
        As in :func:`show`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not callable(transform):
        raise ArgumentError(f"preview takes a transform, called with (image, rng), got {transform!r}")
    checks.whole("preview", "n", n, least=2)
    checks.whole("preview", "seed", seed, least=0)
    pictures = [image]
    for i in range(n - 1):
        result = transform(image, np.random.default_rng((seed, i)))
        pictures += list(result) if np.ndim(result) == 4 else [result]  # TenCrop makes ten of one
    return show(pictures[:n], columns=columns, path=path, n=n, title=f"the original, then {transform!r}")


def _samples(source, n: int) -> tuple:
    """Up to n images, and labels, class names, how many there are in all (None: unknown), the source's name."""
    if isinstance(source, str):
        raise DataError(f"show takes pictures, got {source!r}; data.get_dataset('digits') makes a data set")
    if isinstance(source, Tensor):
        source = source.numpy()
    if isinstance(source, np.ndarray):
        if source.ndim == 3 and source.shape[0] in (1, 3):
            source = source[None]
        if source.ndim != 4:
            hint = "; give it its channel axis with images[:, None]" if source.ndim == 3 else ""
            raise ShapeError(f"show takes images (N, C, H, W), got shape {source.shape}{hint}")
        return source[:n], None, None, len(source), ""
    if isinstance(source, (tuple, list)) and len(source) == 2 and getattr(source[0], "ndim", 0) == 4:  # a batch
        return (*_samples(source[0], n)[:1], source[1], None, len(source[0]), "")
    if hasattr(source, "order") and hasattr(source, "load"):  # a Loader; iterating would count as an epoch
        images, labels = source.load(source.order(source.epoch)[: min(n, source.batch_size)], source.epoch)
        return images, labels, getattr(source.dataset, "classes", None), None, _name(source.dataset)
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise DataError(f"show takes images (N, C, H, W), a data set or a loader, got {type(source).__name__}")
    samples = [source[i] for i in range(min(n, len(source)))]
    if all(isinstance(sample, (tuple, list)) and len(sample) == 2 for sample in samples):
        images, labels = [image for image, _ in samples], [label for _, label in samples]
        labels += [""] * (len(source) - len(samples))  # those that are not drawn
        return images, labels or None, getattr(source, "classes", None), len(source), _name(source)
    return samples, None, None, len(source), ""


def _name(dataset) -> str:
    name = getattr(dataset, "name", "")
    return name if isinstance(name, str) else ""


def _picture(image, i: int) -> np.ndarray:
    """(C, H, W) floats."""
    image = np.asarray(image.numpy() if isinstance(image, Tensor) else image)
    if image.ndim != 3 or image.shape[0] not in (1, 3) or image.size == 0:
        turned = image.ndim == 3 and image.shape[2] in (1, 3)
        hint = ", which looks like (H, W, C); turn it with image.transpose(2, 0, 1)" if turned else ""
        raise ShapeError(f"show: picture {i} must be (C, H, W) of 1 or 3 channels, got shape {image.shape}{hint}")
    image = image / np.float32(255) if image.dtype == np.uint8 else image.astype(np.float32)
    if not np.isfinite(image).all():
        raise DataError(f"show: picture {i} holds NaN or infinity; np.nan_to_num(images) makes it visible")
    return image


def _rescale(pictures: list[np.ndarray]) -> str:
    """Bring all pictures to 0..1 together, if they are not there yet; says what was done."""
    low, high = min(float(p.min()) for p in pictures), max(float(p.max()) for p in pictures)
    if low >= -1e-6 and high <= 1 + 1e-6:
        return ""
    pictures[:] = [(p - low) / max(high - low, 1e-12) for p in pictures]
    return f"rescaled: black is {low:.3g}, white is {high:.3g}"


def _captions(labels, classes, total: int) -> list[str]:
    if labels is None:
        return []
    labels = labels.numpy() if isinstance(labels, Tensor) else labels
    labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(labels, (list, tuple, range)):
        raise ArgumentError(f"show: labels are a list, one for each picture, got {labels!r}")
    if len(labels) != total:
        raise DataError(f"show: {total} pictures, but {len(labels)} labels; give one for each")
    if classes is None:
        return [str(label) for label in labels]
    if isinstance(classes, str) or not hasattr(classes, "__len__"):
        raise ArgumentError(f"show: classes are a list of names, one for each label, got {classes!r}")
    for label in labels:
        if not isinstance(label, (str, int, np.integer)):
            raise DataError(f"show: a label is a whole number, the class's, or a name, got {label!r}")
        if not isinstance(label, str) and not 0 <= label < len(classes):
            raise DataError(f"show: label {label} is none of the {len(classes)} classes, 0 to {len(classes) - 1}")
    return [label if isinstance(label, str) else str(classes[int(label)]) for label in labels]


def _draw(pictures: list[np.ndarray], captions: list[str], columns: int, path, title: str):
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    width = max(INCH * columns, 3)
    title = "\n".join(
        textwrap.fill(plots.literal(line), int(width * 15)) for line in title.split("\n")
    )  # 15 letters to an inch
    height = INCH * max(p.shape[1] / p.shape[2] for p in pictures) + (0.22 if captions else 0.06)
    figure = plots.new_figure(width, rows * height + 0.2 * (title.count("\n") + 1 if title else 0))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for i, (axes, picture) in enumerate(zip(grid, pictures)):
        # single pixels stay visible squares; large photographs are smoothed on their way down
        way = "nearest" if max(picture.shape[1:]) <= 64 else "antialiased"
        shown = picture[0] if len(picture) == 1 else np.clip(picture, 0, 1).transpose(1, 2, 0)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation=way)
        if captions:
            axes.set_title("\n".join(map(plots.literal, captions[i].split("\n"))), fontsize=8, pad=2)
    if title:
        figure.suptitle(title, fontsize=9)
    return plots.finish(figure, path)
