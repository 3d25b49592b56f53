"""Grad-CAM: which feature maps speak for a class, and where."""

from __future__ import annotations

import numpy as np

from .. import costs, running
from ..errors import ArgumentError, ShapeError
from ..nn import Module
from ..tensor import Tensor
from .activations import capturing, one_layer
from .scores import as_batch, check_logits, choose, examined


class LastMaps(running.Watcher):
    """Looks on while a model runs, and remembers the feature maps of its last convolution, and their gradient.

    The maps are taken after all that is done to the convolution's output while rows and columns stay: batch-norm, ReLU,
    the sum with a shortcut, the concatenation with other branches. Operations are watched, not layers: a ReLU that is
    called as ``F.relu`` has no layer whose output one could ask for.
    """

    def __init__(self) -> None:
        self.node = self.maps = self.grad = None

    def forward_ends(self, ctx, inputs: list, out: np.ndarray) -> None:
        if out.ndim != 4 or out[0, 0].size == 1:
            return
        goes_on = self.maps is not None and any(a is self.maps for a in inputs) and out.shape[2:] == self.maps.shape[2:]
        if goes_on or costs.operation(ctx.function) == "conv2d":
            self.node, self.maps = ctx, out

    def backward_ends(self, node, grad, parts: list) -> None:
        if node is self.node:
            self.grad = grad


def grad_cam(model: Module, image, target: int | None = None, layer: str | None = None) -> np.ndarray:
    """Gradient-weighted class activation map (Selvaraju et al. 2017, section 3).

        alpha_k = 1/Z  sum_ij  dS / dA_kij               (equation 1: what map k is worth to the class; Z pixels)
        L_ij    = max(0, sum_k  alpha_k A_kij)           (equation 2: where the maps that speak for it are active)

    A are the maps of the last convolution, the last place in the network where things still have a position, and S is
    the class's logit. The map is as coarse as they are, 7x7 for most networks of 224x224 pixels.

    Parameters
    ----------
    model : Module
        A classifier; left as it was.
    image : array, (C, H, W)
        Prepared as the model wants it.
    target : int, optional
        The class; left out, the one with the largest score.
    layer : str, optional
        Path of the layer whose output is A. Left out: the last convolution, with what normalises and activates it.

    Returns
    -------
    array, (h, w), >= 0
        Not scaled; pixel (i, j) stands for the part of the image at the same relative place. All zero if no map speaks
        for the class.

    Raises
    ------
    ArgumentError
        There is no such layer, or no convolution with maps of more than one pixel.
    """
    op = "grad_cam"
    x = Tensor(as_batch(op, model, image), requires_grad=True)
    watcher = LastMaps()
    with capturing(op, model, [] if layer is None else [layer]) as caught, examined(model):
        with running.watched_by(watcher):
            logits = check_logits(op, model(x), 1)
            kept = None if layer is None else one_layer(op, caught, layer).retain_grad()
            logits[0, choose(op, logits.data[0], target)].backward()
    maps, grad = (watcher.maps, watcher.grad) if kept is None else (kept.data, kept.grad)
    if maps is None:
        raise ArgumentError(f"{op}: {type(model).__name__} has no convolution whose maps are larger than one pixel")
    if maps.ndim != 4:
        raise ShapeError(f"{op}: the layer {layer!r} gives no feature maps (N, C, H, W), but shape {maps.shape}")
    if grad is None:  # the class does not depend on them
        return np.zeros(maps.shape[2:], maps.dtype)
    alpha = grad[0].mean((1, 2), dtype=np.float64)  # (C,)
    return np.maximum(np.tensordot(alpha, maps[0], 1), 0).astype(maps.dtype)  # (h, w)
