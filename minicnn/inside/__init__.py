"""Looking inside a trained network: what it saw, and where, when it named a picture.

ZFNet's authors improved AlexNet after they had looked into it (Zeiler & Fergus 2014); these are their tools and those
of their successors. Each function takes a model and *one* image (C, H, W), prepared as the model wants it, and gives
arrays; the model is left as it was, with no gradients in its parameters. ``minicnn.plots`` draws the same things.

    activations.py   the output of any layer, by its path
    saliency.py      gradient of a class's score by the image
    grad_cam.py      which of the last feature maps speak for a class, and where
    occlusion.py     a grey square moved over the image: where does it hurt?
    guided.py        the gradient with other rules for ReLU: guided backpropagation, deconvnet
    patches.py       the pieces of a data set's images that excite a channel most
    sight.py         which pixels one unit sees
    pictures.py, panels.py, page.py      the figures; the page of ``minicnn explain``
"""

from __future__ import annotations

from .activations import activations
from .grad_cam import grad_cam
from .guided import deconvnet, guided_backprop
from .occlusion import occlusion
from .patches import Patch, strongest_patches
from .saliency import gradient, saliency
from .scores import top_classes
from .sight import Sight

__all__ = [
    "Patch",
    "Sight",
    "activations",
    "deconvnet",
    "grad_cam",
    "gradient",
    "guided_backprop",
    "occlusion",
    "saliency",
    "strongest_patches",
    "top_classes",
]
