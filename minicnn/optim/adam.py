"""Adam and AdamW."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..errors import ArgumentError
from .optimizer import Optimizer


class Adam(Optimizer):
    """Steps along the mean gradient divided by its root mean square (Kingma & Ba 2015, algorithm 1).

    Parameters
    ----------
    params : iterable of Parameter or of dicts
    lr : float
    betas : (float, float)
        Decay of the averages of the gradient and of its square.
    eps : float
    weight_decay : float
        Added to the gradient (L2).
    """

    decoupled = False

    def __init__(
        self, params, lr: float = 1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise ArgumentError(f"{type(self).__name__}: betas must be two numbers >= 0 and below 1, got {betas!r}")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    def update(self, parameter, state, group) -> None:
        if not state:
            state.update(mean=np.zeros_like(parameter.data), square=np.zeros_like(parameter.data), step=0)
        state["step"] += 1
        options = (group["lr"], *group["betas"], group["eps"], group["weight_decay"], state["step"], self.decoupled)
        kernels.adam_update(parameter.data, parameter.grad, state["mean"], state["square"], *options)


class AdamW(Adam):
    """Adam whose weight decay is taken off the weights, not added to the gradient (Loshchilov & Hutter 2019)."""

    decoupled = True

    def __init__(
        self, params, lr: float = 1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
