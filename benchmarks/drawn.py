"""The numbers of a benchmark: images, labels and weights, the same on both sides without being sent.

Weights are a function of their names, so that a weight that is used in the wrong place changes the loss. Everything is
float32. Images and 4-d weights are drawn as they lie channels-last, (N, H, W, C), and handed out as (N, C, H, W).
"""

from __future__ import annotations

import math
import zlib

import numpy as np

SEED = 0


def images(shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal, (N, C, H, W) or (N, I)."""
    return _normal(np.random.default_rng(SEED), shape)


def labels(count: int, classes: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, classes, count)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Filters and matrices by He et al. 2015, N(0, 2 / fan_in); scales and variances 0.5 to 1.5; biases around 0."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rpartition(".")[2]
    if len(shape) > 1:
        values = _normal(rng, shape)
        values *= np.float32(math.sqrt(2 / math.prod(shape[1:])))
        return values
    if leaf in ("weight", "running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) != 4:
        return rng.standard_normal(shape, dtype=np.float32)
    n, c, h, w = shape
    return rng.standard_normal((n, h, w, c), dtype=np.float32).transpose(0, 3, 1, 2)


def fingerprint(output: np.ndarray) -> float:
    """A number that changes when elements change or change places."""
    return norm([output * np.random.default_rng(SEED).uniform(0.5, 1.5, output.shape)])


def norm(arrays) -> float:
    """Length of all arrays taken as one vector, in float64 sums of float32 pieces; no large array is copied."""
    return math.sqrt(sum(float(np.linalg.norm(np.ravel(a, order="K"))) ** 2 for a in arrays))
