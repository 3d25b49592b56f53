"""RMSprop."""

from __future__ import annotations

import numpy as np

from .. import kernels
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """v <- alpha v + (1 - alpha) g^2;   p <- p - lr g / (sqrt(v) + eps)   (Tieleman & Hinton 2012, lecture 6e).

    The gradient is divided by its root mean square, so that all weights move at about the same speed.

    Parameters
    ----------
    params : iterable of Parameter or of dicts
    lr : float
    alpha : float
        Decay of the average of the squared gradient.
    eps : float
        Keeps the divisor away from 0.
    weight_decay : float
        Added to the gradient (L2).
    momentum : float
        u <- momentum u + g / (sqrt(v) + eps);   p <- p - lr u
    centered : bool
        Divide by the standard deviation: v less the square of the gradient's average (Graves 2013, equations 38-45).
    eps_inside : bool
        Divide by sqrt(v + eps), as TensorFlow does, not by PyTorch's sqrt(v) + eps.

    Notes
    -----
    Recipes published with TensorFlow need ``eps_inside=True``. Inception-v3 (Szegedy et al. 2016, section 8: decay
    0.9, epsilon 1.0) divides a gradient whose root mean square is 0.1 by sqrt(0.01 + 1) = 1.005; PyTorch's form divides
    by 0.1 + 1 = 1.1. MobileNet was trained "similar to Inception V3" (Howard et al. 2017, section 3.2), MobileNetV2
    with decay and momentum 0.9 (Sandler et al. 2018, section 6.1). At ``eps=1e-8`` the divisor of a vanishing gradient
    differs most: 1e-4 and 1e-8.

    Two more differences of TensorFlow's first optimiser (tf.compat.v1) are not copied: its v starts at 1, not at 0, and
    its u holds lr g / (...), so that a changed rate reaches only the steps to come.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> model = nn.Linear(4, 2)
    >>> inception = optim.RMSprop(model.parameters(), lr=0.045, alpha=0.9, momentum=0.9, eps=1.0, eps_inside=True)
    """

    flags = ("centered", "eps_inside")

    def __init__(
        self, params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, eps_inside: bool = False,
    ) -> None:  # fmt: skip
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**options, "centered": centered, "eps_inside": eps_inside})

    def check_options(self, group) -> None:
        super().check_options(group)
        self._check_below_one(group, "alpha", "no gradient counts")
        self._check_below_one(group, "momentum", "the steps never stop growing")

    def update(self, parameter, state, group) -> None:
        averages = {"square": True, "mean": group["centered"], "velocity": group["momentum"] > 0}
        for name, wanted in averages.items():
            if wanted and name not in state:
                state[name] = np.zeros_like(parameter.data)
        arrays = [state[name] if wanted else None for name, wanted in averages.items()]
        options = [group[o] for o in ("lr", "alpha", "eps", "weight_decay", "momentum", "eps_inside")]
        kernels.rmsprop_update(parameter.data, parameter.grad, *arrays, *options)
