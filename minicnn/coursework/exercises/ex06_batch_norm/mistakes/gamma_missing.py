# mistake: dx does not hold gamma
# loses: gradient, evaluation_gradient
# says: gamma is missing
"""Exercise 6: batch normalisation."""

import numpy as np

EXERCISE = "ex06_batch_norm"
VARIANT = "cumulative"


def batch_norm(x, gamma, beta, state, training, eps):
    """(y, state, cache): each channel normalised, scaled and shifted.

    x (N, C, H, W); gamma and beta (C,); state {"mean": (C,), "var": (C,), "batches": int}; training True or False.
    Returns y (N, C, H, W), the new state, and a cache: whatever the backward needs of arrays, numbers, and tuples,
    lists and dicts of these.
    """
    m = x.size // x.shape[1]
    mean, var = state["mean"], state["var"]
    if training:
        mean = x.mean(axis=(0, 2, 3))
        var = ((x - mean[:, None, None]) ** 2).mean(axis=(0, 2, 3))
        batches = state["batches"] + 1
        rate = 1 / batches if VARIANT == "cumulative" else 0.1
        state = {
            "mean": state["mean"] + rate * (mean - state["mean"]),
            "var": state["var"] + rate * (var * m / (m - 1) - state["var"]),
            "batches": batches,
        }
    centred = x - mean[:, None, None]  # (N, C, H, W)
    std = np.sqrt(var) if VARIANT == "outside" else np.sqrt(var + eps)  # (C,)
    scale = std + eps if VARIANT == "outside" else std  # what x is divided by, (C,)
    y = gamma[:, None, None] * centred / scale[:, None, None] + beta[:, None, None]
    return y, state, (centred, std, scale, gamma, training)


def batch_norm_backward(dout, cache):
    """(dx, dgamma, dbeta), of shapes (N, C, H, W), (C,), (C,), given dout (N, C, H, W) and the forward pass's cache."""
    centred, std, scale, _, training = cache
    std, scale = std[:, None, None], scale[:, None, None]
    dbeta = dout.sum(axis=(0, 2, 3))
    dgamma = (dout * centred / scale).sum(axis=(0, 2, 3))
    dxhat = dout
    dx = dxhat / scale  # the direct path
    if training:
        dx = dx - dx.mean(axis=(0, 2, 3), keepdims=True)  # through the mean
        cross = (dxhat * centred).mean(axis=(0, 2, 3), keepdims=True)
        dx = dx - centred * cross / (std * scale**2)  # through the standard deviation
    return dx, dgamma, dbeta
