"""Stochastic gradient descent."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..errors import ArgumentError
from .optimizer import Optimizer


class SGD(Optimizer):
    """v <- momentum v + grad + weight_decay p;   p <- p - lr v   (PyTorch's form; ``nesterov`` looks one step ahead).

    Parameters
    ----------
    params : iterable of Parameter or of dicts
    lr : float
        Learning rate.
    momentum, weight_decay : float
    nesterov : bool
        Needs momentum (Sutskever et al. 2013).

    Examples
    --------
    >>> import minicnn as mc
    >>> p = mc.nn.Parameter(np.array([1.0, 2.0]))
    >>> (p * p).sum().backward()
    >>> SGD([p], lr=0.25).step()
    >>> p.tolist()
    [0.5, 1.0]
    """

    flags = ("nesterov",)

    def __init__(self, params, lr: float, momentum: float = 0, weight_decay: float = 0, nesterov: bool = False) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov})

    def check_options(self, group) -> None:
        super().check_options(group)
        if group["nesterov"] and not group["momentum"]:
            raise ArgumentError(f"SGD: nesterov needs a momentum > 0, such as 0.9, got {group['momentum']!r}")
        self._check_below_one(group, "momentum", "the steps never stop growing")

    def update(self, parameter, state, group) -> None:
        if group["momentum"] and "velocity" not in state:
            state["velocity"] = np.zeros_like(parameter.data)
        options = (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"])
        kernels.sgd_update(parameter.data, parameter.grad, state.get("velocity"), *options)
