"""The optimisers' steps, in place. Plain reads and writes the parameters once per operation; here once per step."""

from __future__ import annotations

import numba
import numpy as np

from .jit import kernel


def sgd_update(param, grad, velocity, lr, momentum, weight_decay, nesterov):
    """v <- momentum v + g;  p <- p - lr v,  with g = grad + weight_decay p (PyTorch's form of momentum).

    ``nesterov`` steps along g + momentum v instead. ``velocity`` is empty without momentum.
    """
    number = param.dtype.type
    if velocity.size:
        _sgd_update_momentum(param, grad, velocity, number(lr), number(momentum), number(weight_decay), bool(nesterov))
    else:
        _sgd_update(param, grad, number(lr), number(weight_decay))


@kernel
def _sgd_update(param, grad, lr, weight_decay):
    for i in numba.prange(len(param)):
        step = grad[i]
        if weight_decay != 0:  # not 0 * param: that would turn an infinite parameter into NaN
            step += weight_decay * param[i]
        param[i] -= lr * step


@kernel
def _sgd_update_momentum(param, grad, velocity, lr, momentum, weight_decay, nesterov):
    for i in numba.prange(len(param)):
        step = grad[i]
        if weight_decay != 0:
            step += weight_decay * param[i]
        velocity[i] = momentum * velocity[i] + step
        param[i] -= lr * (step + momentum * velocity[i] if nesterov else velocity[i])


def adam_update(param, grad, mean, square, lr, beta1, beta2, eps, weight_decay, step, decoupled):
    """m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr m' / (sqrt(v') + eps)  (Kingma & Ba 2015, alg. 1)

    m' = m / (1 - b1^step) and v' = v / (1 - b2^step) undo the start at zero; ``step`` counts from 1. Weight decay is
    added to the gradient, or, ``decoupled``, taken off the parameter (PyTorch's form: lr * weight_decay * p; in AdamW's
    paper, Loshchilov & Hutter 2019, algorithm 2, lr does not multiply it).
    """
    number = param.dtype.type
    kept = number(1 - lr * weight_decay) if decoupled else number(1)
    added = number(0 if decoupled else weight_decay)
    rate, root_of_correction = number(lr / (1 - beta1**step)), number(np.sqrt(1 - beta2**step))
    rates = (number(1 - beta1), number(beta2), number(1 - beta2))
    _adam_update(param, grad, mean, square, rate, rates, root_of_correction, number(eps), kept, added)


@kernel
def _adam_update(param, grad, mean, square, rate, rates, root_of_correction, eps, kept, added):
    """``rates`` = (1 - b1, b2, 1 - b2)"""
    for i in numba.prange(len(param)):
        p, g = param[i] * kept, grad[i]
        if added != 0:
            g += added * p
        mean[i] += rates[0] * (g - mean[i])
        square[i] = rates[1] * square[i] + rates[2] * g * g
        param[i] = p - rate * mean[i] / (np.sqrt(square[i]) / root_of_correction + eps)


def rmsprop_update(param, grad, square, mean, velocity, lr, alpha, eps, weight_decay, momentum, eps_inside):
    """v <- a v + (1-a) g^2;  p <- p - lr g / (sqrt(v) + eps)  (Tieleman & Hinton 2012, lecture 6e, slide 29).

    ``eps_inside`` divides by sqrt(v + eps) instead, as TensorFlow does. With a ``mean`` (m <- a m + (1-a) g; else
    empty), v - m^2, the gradient's variance, stands for v (Graves 2013, equations 38-45). With a ``velocity`` u (else
    empty), u <- momentum u + g / (...) and p <- p - lr u. Weight decay is added: g = grad + weight_decay p.
    """
    number = param.dtype.type
    rates = (number(lr), number(alpha), number(1 - alpha), number(momentum))
    outside, inside = (number(0), number(eps)) if eps_inside else (number(eps), number(0))
    _rmsprop_update(param, grad, square, mean, velocity, rates, outside, inside, number(weight_decay))


@kernel
def _rmsprop_update(param, grad, square, mean, velocity, rates, outside, inside, weight_decay):
    """Divides by sqrt(v + inside) + outside; ``rates`` = (lr, a, 1 - a, momentum)"""
    lr, kept, new, momentum = rates
    centered, moving = mean.size > 0, velocity.size > 0
    for i in numba.prange(len(param)):
        g = grad[i]
        if weight_decay != 0:  # not 0 * param: that would turn an infinite parameter into NaN
            g += weight_decay * param[i]
        square[i] = kept * square[i] + new * g * g
        variance = square[i]
        if centered:
            mean[i] += new * (g - mean[i])
            variance -= mean[i] * mean[i]
            if variance < 0:  # by rounding only, but the root of that is NaN
                variance = 0 * inside  # a zero of the same dtype
        step = g / (np.sqrt(variance + inside) + outside)
        if moving:
            velocity[i] = momentum * velocity[i] + step
            step = velocity[i]
        param[i] -= lr * step
