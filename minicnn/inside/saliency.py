"""Which pixels a class's score depends on: its gradient."""

from __future__ import annotations

import numpy as np

from ..nn import Module
from .scores import backward_from_class


def gradient(model: Module, image, target: int | None = None) -> np.ndarray:
    """dS / dI: how the score S of a class (its logit) changes with each number of the image I.

    Parameters
    ----------
    model : Module
        A classifier; left as it was.
    image : array, (C, H, W)
        Prepared as the model wants it.
    target : int, optional
        The class; left out, the one with the largest score.

    Returns
    -------
    array, (C, H, W)
    """
    return backward_from_class("gradient", model, image, target)


def saliency(model: Module, image, target: int | None = None) -> np.ndarray:
    """Image-specific class saliency map (Simonyan, Vedaldi & Zisserman 2014, section 3.1).

        M_ij = max over channels c of |dS / dI_cij|

    S is the class's score *before* the softmax: a probability could also be raised by making all other classes
    unlikely. Near the image, the network is S(I) ~ w . I + b with w = dS/dI: a large |w_ij| is a pixel which, changed
    a little, changes the score much.

    Parameters
    ----------
    model, image, target
        As for :func:`gradient`.

    Returns
    -------
    array, (H, W), >= 0
    """
    return np.abs(backward_from_class("saliency", model, image, target)).max(0)
