"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import running
from ..errors import ArgumentError
from ..nn import Parameter
from ..ops import checks


def clip_grad_norm_(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients by one factor, so that together they are no longer than ``max_norm`` (Pascanu et al. 2013).

    Parameters
    ----------
    parameters : iterable of Parameter
        Those without a gradient are left out.
    max_norm : float
        Largest Euclidean length of all gradients taken as one vector.

    Returns
    -------
    float
        The length before. If it is NaN or infinite, nothing is scaled: training must see it.
    """
    if checks.number("clip_grad_norm_", "max_norm", max_norm) == 0:
        raise ArgumentError("clip_grad_norm_: max_norm must be > 0; 0 would stop all learning")
    with running.updating():
        grads = [p.grad for p in parameters if p.grad is not None]
        norm = float(np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in grads)))
        if np.isfinite(norm) and norm > max_norm:
            for g in grads:
                g *= g.dtype.type(max_norm / norm)
    return norm
