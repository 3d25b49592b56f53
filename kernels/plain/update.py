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


def rmsprop_update(param, grad, square, mean, velocity, lr, alpha, eps, weight_decay, momentum, eps_inside):
    """v <- a v + (1-a) g^2;  p <- p - lr g / (sqrt(v) + eps)  (Tieleman & Hinton 2012, lecture 6e, slide 29).

    ``eps_inside`` divides by sqrt(v + eps) instead, as TensorFlow does. With a ``mean`` (m <- a m + (1-a) g; else
    None), v - m^2, the gradient's variance, stands for v (Graves 2013, equations 38-45). With a ``velocity`` u (else
    None), u <- momentum u + g / (...) and p <- p - lr u. Weight decay is added: g = grad + weight_decay p.

    >>> param, square = np.array([1.0]), np.array([0.0])
    >>> rmsprop_update(param, np.array([2.0]), square, None, None, 0.1, 0.75, 1.0, 0, 0, False)
    >>> param, square  # v = 0.25 * 2^2 = 1, so p = 1 - 0.1 * 2 / (1 + 1)
    (array([0.9]), array([1.]))
    """
    number = param.dtype.type
    if weight_decay:
        grad = grad + number(weight_decay) * param
    square *= number(alpha)
    square += number(1 - alpha) * grad * grad
    variance = square
    if mean is not None:
        mean += number(1 - alpha) * (grad - mean)
        variance = np.maximum(square - mean * mean, 0)  # below 0 by rounding only, but the root of that is NaN
    step = grad / (np.sqrt(variance + number(eps)) if eps_inside else np.sqrt(variance) + number(eps))
    if velocity is not None:
        velocity *= number(momentum)
        velocity += step
        step = velocity
    param -= number(lr) * step
