"""Adam and AdamW."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..errors import ArgumentError
from ..ops import checks
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

    Examples
    --------
    >>> import minicnn as mc
    >>> p = mc.nn.Parameter(np.array([1.0, -2.0]))
    >>> (p * p).sum().backward()
    >>> Adam([p], lr=0.5, eps=0.0).step()  # the first step goes lr in each direction
    >>> p.tolist()
    [0.5, -1.5]
    """

    decoupled = False

    def __init__(
        self, params, lr: float = 1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0
    ) -> None:
        betas = tuple(betas) if isinstance(betas, list) else betas
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def check_options(self, group) -> None:
        betas, name = group["betas"], type(self).__name__
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ArgumentError(f"{name}: betas must be two numbers >= 0 and below 1, got {betas!r}")
        if any(checks.number(name, "each of betas", b) >= 1 for b in betas):
            raise ArgumentError(f"{name}: betas must be two numbers >= 0 and below 1, got {betas!r}")
        super().check_options({**group, "betas": tuple(betas)})

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
