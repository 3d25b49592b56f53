"""The optimisers' steps. Parameters and their running averages change in place."""

from __future__ import annotations

import numpy as np


def sgd_update(param, grad, velocity, lr, momentum, weight_decay, nesterov):
    """v <- momentum v + g;  p <- p - lr v,  with g = grad + weight_decay p (PyTorch's form of momentum).

    ``nesterov`` steps along g + momentum v instead. ``velocity`` is None without momentum.
    """
    lr, momentum, weight_decay = (param.dtype.type(v) for v in (lr, momentum, weight_decay))
    step = grad + weight_decay * param if weight_decay else grad
    if velocity is not None:
        velocity *= momentum
        velocity += step
        step = step + momentum * velocity if nesterov else velocity
    param -= lr * step


def adam_update(param, grad, mean, square, lr, beta1, beta2, eps, weight_decay, step, decoupled):
    """m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr m'/(sqrt(v') + eps)  (Kingma & Ba 2015, algorithm 1).

    m' = m / (1 - b1^step) and v' = v / (1 - b2^step) undo the start at zero; ``step`` counts from 1. Weight decay is
    added to the gradient, or, ``decoupled``, taken off the parameter (PyTorch's form: lr * weight_decay * p; in AdamW's
    paper, Loshchilov & Hutter 2019, algorithm 2, lr does not multiply it).
    """
    number = param.dtype.type
    if decoupled:
        param *= number(1 - lr * weight_decay)
    elif weight_decay:
        grad = grad + number(weight_decay) * param
    mean += number(1 - beta1) * (grad - mean)
    square *= number(beta2)
    square += number(1 - beta2) * grad * grad
    denominator = np.sqrt(square) / number(np.sqrt(1 - beta2**step)) + number(eps)
    param -= number(lr / (1 - beta1**step)) * mean / denominator
