"""What gradcheck measured about one argument, and measures further when a diagnosis asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

JACOBIAN_SIZE = 2_000_000  # numbers
JACOBIAN_ROWS = 400


@dataclass
class Findings:
    """One argument's gradient, analytic and numeric, in all elements or (a large argument) those picked by ``box``."""

    argument: str
    shape: tuple[int, ...]
    box: tuple[np.ndarray, ...]  # the indices checked, per axis
    analytic: np.ndarray
    numeric: np.ndarray
    wrong: np.ndarray  # bool
    kinks: np.ndarray  # bool: not differentiable there, and not counted as wrong
    values: np.ndarray  # the argument itself
    slack: float  # differences below this say nothing
    upstream: np.ndarray
    shapes: dict[str, tuple[int, ...]]  # of all arguments
    backward: Callable[[np.ndarray], np.ndarray]  # upstream gradient -> analytic gradient
    outputs: Callable[[int], np.ndarray]  # number of an element -> slope of each output by it

    def near(self, a, b) -> np.ndarray:
        """Element by element: equal as far as such measurements tell."""
        with np.errstate(invalid="ignore"):
            return np.abs(a - b) <= self.slack + 1e-4 * np.maximum(np.abs(a), np.abs(b))

    def fits(self, corrected: np.ndarray) -> bool:
        """Would this gradient be right? It must also be much better than the given one."""
        off, before = np.abs(corrected - self.numeric)[~self.kinks], np.abs(self.analytic - self.numeric)[~self.kinks]
        return bool(self.near(corrected, self.numeric)[~self.kinks].all() and off.max() < 0.1 * before.max())

    @cached_property
    def rows(self) -> np.ndarray:
        """Flat numbers of the elements in the Jacobian: wrong ones first, kinks left out."""
        order = np.concatenate([np.flatnonzero(self.wrong), np.flatnonzero(~self.wrong & ~self.kinks)])
        return order[: max(4, min(JACOBIAN_ROWS, JACOBIAN_SIZE // max(self.upstream.size, 1)))]

    @cached_property
    def jacobian(self) -> np.ndarray:
        """d output / d element, (rows, *output shape)"""
        return np.stack([self.outputs(i) for i in self.rows])

    @cached_property
    def parts(self) -> np.ndarray:
        """What each output contributes to each element's gradient, (rows, *output shape)."""
        return self.jacobian * self.upstream

    def at_rows(self, array: np.ndarray) -> np.ndarray:
        return np.asarray(array).reshape(-1)[self.rows]


def fraction(c: float) -> str:
    near = Fraction(c).limit_denominator(1000)
    return str(near) if near != 0 and abs(float(near) / c - 1) < 1e-5 else f"{c:.5g}"
