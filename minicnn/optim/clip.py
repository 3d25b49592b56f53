"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import running
from ..errors import ArgumentError
from ..kernels.cuda.backend import is_device_array
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
    return float(clip_grads_(parameters, max_norm))


def clip_grads_(parameters: Iterable[Parameter], max_norm: float):
    """As :func:`clip_grad_norm_`; returns an array () on the gradients' device, and does not wait for a GPU."""
    with running.updating():
        grads = [p.grad for p in parameters if p.grad is not None]
        norm = np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in grads))  # ()
        too_long = np.isfinite(norm) & (norm > max_norm)
        if is_device_array(norm):  # only the GPU knows whether they are
            scale = np.where(too_long, max_norm / norm, 1.0)
            for g in grads:
                g *= scale.astype(g.dtype)
        elif too_long:
            for g in grads:
                g *= g.dtype.type(max_norm / norm)
    return norm
