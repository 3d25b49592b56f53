"""The optimisers' steps, in place: one launch and one pass over the memory for each parameter array."""

from __future__ import annotations

import math

from ..checks import same_shape
from .launcher import Kernel

SGD = Kernel("update.cu", "sgd<T>", "T* param, const T* grad, T lr, T weight_decay, long long size")
SGD_MOMENTUM = Kernel(
    "update.cu",
    "sgd_momentum<T>",
    "T* param, const T* grad, T* velocity, T lr, T momentum, T weight_decay, int nesterov, long long size",
)
ADAM = Kernel(
    "update.cu",
    "adam<T>",
    "T* param, const T* grad, T* mean, T* square, T rate, T new_mean, T kept_square, T new_square, "
    "T root_of_correction, T eps, T kept, T added, long long size",
)
RMSPROP = Kernel(
    "update.cu",
    "rmsprop<T>",
    "T* param, const T* grad, T* square, T* mean, T* velocity, T lr, T kept, T added, T momentum, T inside, "
    "T outside, T weight_decay, int centered, int moving, long long size",
)


def sgd_update(param, grad, velocity, lr, momentum, weight_decay, nesterov):
    """v <- momentum v + g;  p <- p - lr v,  with g = grad + weight_decay p (PyTorch's form of momentum).

    ``nesterov`` steps along g + momentum v instead. ``velocity`` is empty without momentum.
    """
    same_shape("sgd_update", param=param, grad=grad, **_if_any(velocity=velocity))
    size = param.size
    if velocity.size:
        options = lr, momentum, weight_decay, bool(nesterov)
        SGD_MOMENTUM((param, grad, velocity, *options, size), threads=size)
    else:
        SGD((param, grad, lr, weight_decay, size), threads=size)


def adam_update(param, grad, mean, square, lr, beta1, beta2, eps, weight_decay, step, decoupled):
    """m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr m' / (sqrt(v') + eps)  (Kingma & Ba 2015, alg. 1)

    m' = m / (1 - b1^step) and v' = v / (1 - b2^step) undo the start at zero; ``step`` counts from 1. Weight decay is
    added to the gradient, or, ``decoupled``, taken off the parameter (PyTorch's form: lr * weight_decay * p; in AdamW's
    paper, Loshchilov & Hutter 2019, algorithm 2, lr does not multiply it).
    """
    same_shape("adam_update", param=param, grad=grad, mean=mean, square=square)
    rate, root_of_correction = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    rates = rate, 1 - beta1, beta2, 1 - beta2, root_of_correction
    decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    ADAM((param, grad, mean, square, *rates, eps, *decay, param.size), threads=param.size)


def rmsprop_update(param, grad, square, mean, velocity, lr, alpha, eps, weight_decay, momentum, eps_inside):
    """v <- a v + (1-a) g^2;  p <- p - lr g / (sqrt(v) + eps)  (Tieleman & Hinton 2012, lecture 6e, slide 29).

    ``eps_inside`` divides by sqrt(v + eps) instead, as TensorFlow does. With a ``mean`` (m <- a m + (1-a) g; else
    empty), v - m^2, the gradient's variance, stands for v (Graves 2013, equations 38-45). With a ``velocity`` u (else
    empty), u <- momentum u + g / (...) and p <- p - lr u. Weight decay is added: g = grad + weight_decay p.
    """
    same_shape("rmsprop_update", param=param, grad=grad, square=square, **_if_any(mean=mean, velocity=velocity))
    inside, outside = (eps, 0.0) if eps_inside else (0.0, eps)
    rates = lr, alpha, 1 - alpha, momentum, inside, outside, weight_decay
    has = mean.size > 0, velocity.size > 0
    RMSPROP((param, grad, square, mean, velocity, *rates, *has, param.size), threads=param.size)


def _if_any(**arrays) -> dict:
    """Those that are given: a missing one is of size 0 (see the layout adapter)."""
    return {name: a for name, a in arrays.items() if a.size}
