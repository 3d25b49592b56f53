"""The loader: shuffled batches, prepared ahead by threads while the model computes."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import ArgumentError, DataError
from .transforms import Transform


class Loader:
    """Iterate over (images (N, C, H, W) float32, labels (N,) int64), one epoch at a time.

    The order is a function of (seed, epoch), each image's augmentation of (seed, epoch, index): results do not depend on
    ``workers``. Worker threads run NumPy only and never launch a kernel.

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
    """

    def __init__(
        self, dataset, batch_size: int = 64, shuffle: bool = False, seed: int = 0, transform: Transform | None = None,
        drop_last: bool = False, workers: int = 0,
    ) -> None:  # fmt: skip
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ArgumentError(f"Loader: batch_size must be a whole number >= 1, got {batch_size!r}")
        if workers < 0:
            raise ArgumentError(f"Loader: workers must be >= 0, got {workers}")
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
        return np.random.default_rng((self.seed, epoch)).permutation(n) if self.shuffle else np.arange(n)

    def load(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """One batch: images (N, C, H, W), channels-last in memory, and labels (N,)."""
        images, labels = [], np.empty(len(indices), np.int64)
        for i, index in enumerate(indices):
            image, labels[i] = self.dataset[int(index)]
            if self.transform is not None:
                image = self.transform(image, np.random.default_rng((self.seed, epoch, int(index))))
            images.append(image.transpose(1, 2, 0))  # (H, W, C)
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise DataError(f"Loader: images of a batch must have one size, got (H, W, C) = {sorted(shapes)}")
        return np.stack(images).astype(np.float32, copy=False).transpose(0, 3, 1, 2), labels

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        epoch, order = self.epoch, self.order(self.epoch)
        self.epoch += 1
        batches = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self))]
        if self.workers == 0:
            for indices in batches:
                yield self.load(indices, epoch)
            return
        with ThreadPoolExecutor(self.workers, thread_name_prefix="loader") as pool:
            ahead: deque = deque()
            for indices in batches:
                ahead.append(pool.submit(self.load, indices, epoch))
                if len(ahead) > 2 * self.workers:  # enough in hand; more would only fill memory
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
