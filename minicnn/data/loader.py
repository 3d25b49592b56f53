"""The loader: shuffled batches, prepared ahead by threads while the model computes."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import ArgumentError, DataError
from ..ops import checks
from .transforms import Transform

# The last number of a seed keeps streams apart: NumPy's (seed, epoch) and (seed, epoch, 0) are the same stream.
ORDER, AUGMENTATION = 1, 2


class Loader:
    """Iterate over (images (N, C, H, W) float32, labels (N,) int64), one epoch at a time.

    The order is a function of (seed, epoch), each image's augmentation of (seed, epoch, index): results do not depend
    on ``workers``. Worker threads run NumPy only and never launch a kernel.

    Parameters
    ----------
    dataset
        Has ``len()`` and ``dataset[i] -> (image, label)``.
    batch_size : int
    shuffle : bool
    seed : int
    transform : callable(image, rng) -> image, optional
    drop_last : bool
        Leave out the last batch if it is smaller.
    workers : int
        Threads that prepare batches ahead; 0 prepares each when it is asked for.

    Examples
    --------
    >>> from minicnn.data import ArrayDataset
    >>> dataset = ArrayDataset(np.zeros((5, 1, 8, 8)), [0, 1, 0, 1, 0], classes=["even", "odd"])
    >>> [images.shape for images, _ in Loader(dataset, batch_size=2)]
    [(2, 1, 8, 8), (2, 1, 8, 8), (1, 1, 8, 8)]
    """

    def __init__(
        self, dataset, batch_size: int = 64, shuffle: bool = False, seed: int = 0, transform: Transform | None = None,
        drop_last: bool = False, workers: int = 0,
    ) -> None:  # fmt: skip
        checks.whole("Loader", "batch_size", batch_size)
        checks.whole("Loader", "workers", workers, least=0)
        checks.whole("Loader", "seed", seed, least=0)
        if isinstance(dataset, str) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise DataError(
                f"Loader takes a data set with len() and [i], got {dataset!r}; mc.data.get_dataset('digits') makes one"
            )
        if transform is not None:
            _check_transform(transform)
        if len(dataset) == 0:
            raise DataError("Loader: the data set is empty")
        if drop_last and batch_size > len(dataset):
            raise DataError(f"Loader: drop_last leaves nothing: {len(dataset)} images, batch_size {batch_size}")
        self.dataset, self.batch_size, self.shuffle, self.seed = dataset, int(batch_size), shuffle, seed
        self.transform, self.drop_last, self.workers = transform, drop_last, workers
        self.epoch = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The indices of an epoch, in the order they are loaded."""
        n = len(self.dataset)
        return np.random.default_rng((self.seed, epoch, ORDER)).permutation(n) if self.shuffle else np.arange(n)

    def load(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """One batch: images (N, C, H, W), channels-last in memory, and labels (N,)."""
        images, labels = [], np.empty(len(indices), np.int64)
        for i, index in enumerate(indices):
            image, labels[i] = self._sample(int(index))
            if self.transform is not None:
                image = self.transform(image, np.random.default_rng((self.seed, epoch, int(index), AUGMENTATION)))
            if np.ndim(image) != 3:
                raise DataError(
                    f"Loader: the transform made {np.shape(image)} of image {index}; a batch holds images (C, H, W)"
                )
            images.append(image.transpose(1, 2, 0))  # (H, W, C)
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise DataError(f"Loader: images of a batch must have one size, got (H, W, C) = {sorted(shapes)}")
        return np.stack(images).astype(np.float32, copy=False).transpose(0, 3, 1, 2), labels

    def _sample(self, index: int) -> tuple[np.ndarray, int]:
        sample = self.dataset[index]
        if not isinstance(sample, (tuple, list)) or len(sample) != 2:
            raise DataError(f"Loader: dataset[{index}] must be a pair (image, label), got {type(sample).__name__}")
        image, label = sample
        if np.ndim(image) != 3:
            raise DataError(f"Loader: image {index} must be (C, H, W), got shape {np.shape(image)}")
        if not isinstance(label, (int, np.integer)):
            raise DataError(f"Loader: label {index} must be a whole number, the class's, got {label!r}")
        return np.asarray(image), label

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self.batches(self.epoch)

    def batches(self, epoch: int, first: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of an epoch from number ``first`` on: where a resumed run goes on."""
        self.epoch = epoch + 1  # what a plain loop over the loader takes next
        order = self.order(epoch)
        batches = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(first, len(self))]
        if self.workers == 0:
            for indices in batches:
                yield self.load(indices, epoch)
            return
        pool, ahead = ThreadPoolExecutor(self.workers, thread_name_prefix="loader"), deque()
        try:
            for indices in batches:
                ahead.append(pool.submit(self.load, indices, epoch))
                if len(ahead) > 2 * self.workers:  # enough in hand; more would only fill memory
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)  # whoever leaves the loop early does not wait for the rest


def _check_transform(transform) -> None:
    try:
        inspect.signature(transform).bind("image", "rng")
    except TypeError:
        raise ArgumentError(
            f"Loader: a transform is called with (image, rng), which {transform!r} does not take"
        ) from None
    except ValueError:  # some built-ins have no signature
        pass
