"""The pieces of a data set's images that excite a channel most."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..autograd import no_grad
from ..errors import ArgumentError, DataError, ShapeError
from ..nn import Module
from ..ops import checks
from ..progress import bar
from ..tensor import Tensor, as_array
from .activations import capturing, one_layer
from .guided import check_channel
from .scores import as_batch, examined
from .sight import Sight


@dataclass(frozen=True, eq=False)  # arrays in it
class Patch:
    """One piece of an image.

    Attributes
    ----------
    value : float
        The channel's activation there, its largest in this image.
    index : int
        Which image of the data set.
    unit : (row, column)
        Where in the channel's map.
    box : (top, left, bottom, right)
        The pixels that the unit sees; the last two are not included.
    pixels : array, (C, bottom - top, right - left)
        Cut from the image as the data set has it, before ``transform``.
    """

    value: float
    index: int
    unit: tuple[int, int]
    box: tuple[int, int, int, int]
    pixels: np.ndarray


def strongest_patches(
    model: Module, images, layer: str, channels: int | Sequence[int], n: int = 9, transform: Callable | None = None,
    batch_size: int = 32, progress: bool = False,
) -> dict[int, list[Patch]]:  # fmt: skip
    """For each channel the ``n`` images in which it is most active, and the patch it sees there.

    Zeiler & Fergus 2014, section 4.1 and figure 2: "top 9 activations" of a feature map across the validation set. One
    patch from each image, or else nine neighbours in one image would look alike. The patch is the receptive field of
    the unit, cut off at the image's edge.

    Parameters
    ----------
    model : Module
        Left as it was.
    images : data set, or array (N, C, H, W)
        A data set gives (image, label) for ``[i]``.
    layer : str
        Path, such as ``"layer2"``.
    channels : int or sequence of int
    n : int
    transform : callable(image, rng) -> image, optional
        Prepares an image for the model without moving its pixels, such as ``Normalize``.
    batch_size : int
    progress : bool
        Show a bar.

    Returns
    -------
    dict of int to list of Patch
        By channel; the strongest first, of equal ones the earlier image.
    """
    op = "strongest_patches"
    several = isinstance(channels, (list, tuple, range)) or isinstance(channels, np.ndarray) and channels.ndim > 0
    wanted = list(channels) if several else [channels[()] if isinstance(channels, np.ndarray) else channels]
    if not wanted:
        raise ArgumentError(f"{op}: channels is empty; name one or more channels of {layer!r}, such as [0, 1]")
    wanted = [checks.whole(op, "channel", channel, least=0) for channel in wanted]
    n, batch_size = checks.whole(op, "n", n), checks.whole(op, "batch_size", batch_size)
    if not hasattr(images, "__len__") or len(images) == 0:
        raise DataError(f"{op} takes a data set or images (N, C, H, W), and at least one image")
    best: dict[int, list] = {channel: [] for channel in wanted}
    for start, maps in _maps(model, images, layer, transform, batch_size, progress):
        for channel in wanted:
            check_channel(op, layer, channel, maps.shape[1])
            flat = maps[:, channel].reshape(len(maps), -1)  # (N, h w)
            for i, place in enumerate(flat.argmax(1)):
                _keep(best[channel], (float(flat[i, place]), -(start + i), int(place)), n)
    sight = Sight(model, prepared(op, model, images, 0, transform).shape, layer)
    width = sight.output_shape[2] if len(sight.output_shape) == 3 else 1
    return {
        channel: [_cut(images, sight, value, -minus, divmod(place, width)) for value, minus, place in sorted(top)[::-1]]
        for channel, top in best.items()
    }


def picture(images, index: int) -> np.ndarray:
    """An image of a data set, or of an array."""
    sample = images[index]
    return as_array(sample[0] if isinstance(sample, (tuple, list)) else sample)


def prepared(op: str, model: Module, images, index: int, transform: Callable | None) -> np.ndarray:
    """The same as the model wants it, (C, H, W)."""
    own = picture(images, index)
    changed = own if transform is None else transform(own, np.random.default_rng(0))
    batch = as_batch(op, model, changed)
    if batch.shape[2:] != own.shape[1:]:
        raise ArgumentError(
            f"{op}: transform makes {batch.shape[2:]} of an image of {own.shape[1:]}, so that patches could not be "
            f"found in it; resize in the data set, normalise in the transform"
        )
    return batch[0]


def _maps(model, images, layer: str, transform, batch_size: int, progress: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Number of the first image of a batch, and the layer's output for the batch."""
    op, starts = "strongest_patches", range(0, len(images), batch_size)
    with bar(len(starts), op, progress) as shown:
        for start in starts:
            numbers = range(start, min(start + batch_size, len(images)))
            batch = [prepared(op, model, images, i, transform) for i in numbers]
            if len({image.shape for image in batch}) > 1:
                raise ShapeError(f"{op} takes images of one size; images {start} to {numbers[-1]} have several")
            with capturing(op, model, [layer]) as caught, examined(model), no_grad():
                model(Tensor(np.stack(batch)))
            yield start, one_layer(op, caught, layer).data
            shown.update()


def _keep(heap: list, entry: tuple, n: int) -> None:
    """Keep the n largest entries, the smallest of them first."""
    if len(heap) < n:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def _cut(images, sight: Sight, value: float, index: int, unit: tuple[int, int]) -> Patch:
    top, left, bottom, right = box = sight.box(*unit)
    return Patch(value, index, unit, box, picture(images, index)[:, top:bottom, left:right].copy())
