"""The way back through a network with other rules for ReLU.

A ReLU passes y = max(x, 0) on. Three rules say what comes back through it (Springenberg et al. 2015, figure 1):

    gradient     dx = dy  where x > 0                  what was off in the forward pass lets nothing through
    deconvnet    dx = dy  where dy > 0                 what would lower the score lets nothing through
    guided       dx = dy  where x > 0 and dy > 0       both

Everything else is the ordinary gradient: the transposed filters and the pooling switches of a "deconvolutional network"
(Zeiler & Fergus 2014, section 2.1) are just what backward does in a convolution and a max-pool. So all it takes are two
Functions, put in place of the framework's by ``mc.replace``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ..errors import ArgumentError
from ..nn import Module
from ..ops import checks
from ..ops.activation import ReLU, ReLU6
from ..ops.registry import replace
from ..tensor import Tensor
from .activations import capturing, one_layer
from .scores import as_batch, backward_from_class, examined, gradient_of


class GuidedReLU(ReLU):
    """y = max(x, 0);  dx = dy where y > 0 and dy > 0"""

    @staticmethod
    def backward(ctx, grad):
        return ReLU.backward(ctx, np.maximum(grad, 0))


class GuidedReLU6(ReLU6):
    """y = min(max(x, 0), 6);  dx = dy where 0 < y < 6 and dy > 0"""

    @staticmethod
    def backward(ctx, grad):
        return ReLU6.backward(ctx, np.maximum(grad, 0))


class DeconvReLU(ReLU):
    """y = max(x, 0);  dx = dy where dy > 0, whatever y was"""

    @staticmethod
    def backward(ctx, grad):
        return np.maximum(grad, 0)


class DeconvReLU6(ReLU6):
    """y = min(max(x, 0), 6);  dx = dy where dy > 0, whatever y was"""

    @staticmethod
    def backward(ctx, grad):
        return np.maximum(grad, 0)


RULES = {
    "gradient": {},
    "guided": {"relu": GuidedReLU, "relu6": GuidedReLU6},
    "deconvnet": {"relu": DeconvReLU, "relu6": DeconvReLU6},
}


@contextlib.contextmanager
def rectifying(op: str, rule: str) -> Iterator[None]:
    """In this block ReLUs go back by that rule."""
    with contextlib.ExitStack() as replaced:
        for name, function in RULES[checks.choice(op, "rule", rule, tuple(RULES))].items():
            replaced.enter_context(replace(name, function))
        yield


def guided_backprop(model: Module, image, target: int | None = None, rule: str = "guided") -> np.ndarray:
    """From a class's score back to the image, only along what was active and speaks for the class.

    Guided backpropagation (Springenberg et al. 2015, section 3.4): sharper than the gradient, because contributions
    of different sign no longer cancel. A model without ReLU or ReLU6 gives its gradient. The deconvnet's rule looks at
    the image only through the switches of max-pooling; networks without it give almost the same picture for each image.

    Parameters
    ----------
    model : Module
        A classifier; left as it was.
    image : array, (C, H, W)
        Prepared as the model wants it.
    target : int, optional
        The class; left out, the one with the largest score.
    rule : {"guided", "deconvnet", "gradient"}

    Returns
    -------
    array, (C, H, W)
        Of both signs, as the last thing on the way back is the first convolution.
    """
    with rectifying("guided_backprop", rule):
        return backward_from_class("guided_backprop", model, image, target)


def deconvnet(
    model: Module, image, layer: str, channel: int, unit: tuple[int, int] | None = None, rule: str = "deconvnet"
) -> np.ndarray:
    """Project the activation of one unit of a layer back to the image (Zeiler & Fergus 2014, section 2.1).

    All other activations of the layer are set to zero; what comes out is the pattern in the image that excites the
    unit. It is zero outside of the unit's receptive field.

    Parameters
    ----------
    model : Module
        Left as it was.
    image : array, (C, H, W)
        Prepared as the model wants it.
    layer : str
        Path, such as ``"features.conv3"``.
    channel : int
    unit : (row, column), optional
        Left out: where the channel is strongest.
    rule : {"deconvnet", "guided", "gradient"}

    Returns
    -------
    array, (C, H, W)
    """
    op = "deconvnet"
    x = Tensor(as_batch(op, model, image), requires_grad=True)
    with rectifying(op, rule), capturing(op, model, [layer]) as caught, examined(model):
        model(x)
        maps = one_layer(op, caught, layer)  # (1, C, H, W), or (1, K)
        channel = check_channel(op, layer, channel, maps.shape[1])
        if unit is None or maps.ndim == 2:
            unit = np.unravel_index(maps.data[0, channel].argmax(), maps.shape[2:])
        if len(unit) != maps.ndim - 2 or any(not 0 <= i < n for i, n in zip(unit, maps.shape[2:])):
            raise ArgumentError(f"{op}: {layer!r} has no unit {tuple(unit)} in maps of {maps.shape[2:]}")
        start = np.zeros_like(maps.data)
        start[(0, channel, *unit)] = maps.data[(0, channel, *unit)]
        maps.backward(start)
    return gradient_of(x)


def check_channel(op: str, layer: str, channel, channels: int) -> int:
    if checks.whole(op, "channel", channel, least=0) >= channels:
        raise ArgumentError(f"{op}: channel {channel}, but {layer!r} has {channels} channels, 0 to {channels - 1}")
    return int(channel)
