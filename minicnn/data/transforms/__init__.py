"""Transforms of one image (C, H, W). Each is called with the image and a generator that is a function of (seed, epoch,
index): the same picture is augmented in the same way whoever loads it, in whatever order.

A transform returns a new array and leaves its input as it was; those that draw nothing can be called without a
generator. Recipes of the papers, each followed by Normalize::

    AlexNet    RandomCrop(224), RandomFlip(), PCALighting(0.1)     of images that Resize(256), CenterCrop(256) made
    GoogLeNet  RandomResizedCrop(224), RandomFlip(), ColorJitter(0.4, 0.4, 0.4)
    ResNet     RandomShorterSide(256, 480), RandomCrop(224), RandomFlip(), PCALighting(0.1)
    CIFAR      RandomFlip(), and PadCrop(4) after Normalize
    test       Resize(256), CenterCrop(224)                        or ten_crops(image, 224)
"""

from __future__ import annotations

from ..pictures import preview
from .basic import Compose, Normalize, Transform
from .colour import ColorJitter, Grayscale, PCALighting, ToRGB, pca_of
from .crops import CenterCrop, Enlarge, PadCrop, RandomCrop, RandomFlip, TenCrop, ten_crops
from .resizing import RandomResizedCrop, RandomShorterSide, Resize

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Enlarge",
    "Grayscale",
    "Normalize",
    "PCALighting",
    "PadCrop",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "RandomShorterSide",
    "Resize",
    "TenCrop",
    "ToRGB",
    "Transform",
    "pca_of",
    "preview",
    "ten_crops",
]
