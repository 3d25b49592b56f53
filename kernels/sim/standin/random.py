"""``cupy.random``: NumPy's generators, with the results on the device. CuPy's own sequences are others."""

from __future__ import annotations

import numpy as np

from .array import ndarray
from .border import generated

__all__ = (
    "Generator RandomState default_rng normal permutation rand randint randn random random_sample seed standard_normal "
    "uniform"
).split()


class Generator:
    """``cupy.random.default_rng(seed)``."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def random(self, size=None, dtype=float, out=None) -> ndarray:
        if out is not None:
            out[...] = self.random(out.shape, out.dtype)
            return out
        return generated(self._generator.random(size, dtype))

    def standard_normal(self, size=None, dtype=float, out=None) -> ndarray:
        if out is not None:
            out[...] = self.standard_normal(out.shape, out.dtype)
            return out
        return generated(self._generator.standard_normal(size, dtype))

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False) -> ndarray:
        return generated(self._generator.integers(low, high, size, dtype, endpoint))


def default_rng(seed=None) -> Generator:
    return Generator(np.random.default_rng(seed))


class RandomState:
    """``cupy.random.RandomState(seed)``; float arrays may be float32."""

    def __init__(self, seed=None) -> None:
        self._state = np.random.RandomState(seed)

    def seed(self, seed=None) -> None:
        self._state.seed(seed)

    def rand(self, *size, dtype=float) -> ndarray:
        return self.random_sample(size, dtype)

    def randn(self, *size, dtype=float) -> ndarray:
        return self.standard_normal(size, dtype)

    def random_sample(self, size=None, dtype=float) -> ndarray:
        return generated(np.asarray(self._state.random_sample(size), dtype))

    def standard_normal(self, size=None, dtype=float) -> ndarray:
        return generated(np.asarray(self._state.standard_normal(size), dtype))

    def uniform(self, low=0.0, high=1.0, size=None, dtype=float) -> ndarray:
        return generated(np.asarray(self._state.uniform(low, high, size), dtype))

    def normal(self, loc=0.0, scale=1.0, size=None, dtype=float) -> ndarray:
        return generated(np.asarray(self._state.normal(loc, scale, size), dtype))

    def randint(self, low, high=None, size=None, dtype=int) -> ndarray:
        return generated(np.asarray(self._state.randint(low, high, size, dtype)))

    def permutation(self, a) -> ndarray:
        return generated(self._state.permutation(a))


_state = RandomState()
seed, rand, randn, random_sample = _state.seed, _state.rand, _state.randn, _state.random_sample
random, standard_normal, uniform, normal = random_sample, _state.standard_normal, _state.uniform, _state.normal
randint, permutation = _state.randint, _state.permutation
