"""What is usually done to training images at random, by name, for images of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .transforms import (
    CenterCrop,
    ColorJitter,
    PadCrop,
    PCALighting,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    RandomShorterSide,
    Transform,
)


class Augmentation(NamedTuple):
    """Transforms: those before normalising see pixels from 0 to 1, those after it pad with 0, the mean grey.

    Attributes
    ----------
    size : (height, width)
        Of the images that come out.
    before, after : list of transforms
        Of training images.
    testing : list of transforms
        Of validation and test images, before normalising.
    """

    size: tuple[int, int]
    before: list[Transform] = []
    after: list[Transform] = []
    testing: list[Transform] = []


def none(channels: int, h: int, w: int) -> Augmentation:
    return Augmentation((h, w))


def shift(channels: int, h: int, w: int) -> Augmentation:
    """By an eighth of the image: by 4 pixels at 32x32 (He et al. 2016, section 4.2), by 1 at 8x8."""
    return Augmentation((h, w), [], [PadCrop(min(h, w) // 8)])


def shift_flip(channels: int, h: int, w: int) -> Augmentation:
    """He et al. 2016, section 4.2, for CIFAR."""
    return Augmentation((h, w), [RandomFlip()], [PadCrop(min(h, w) // 8)])


def crop_flip(channels: int, h: int, w: int) -> Augmentation:
    """Windows of 7/8 of the side, 224 of 256 pixels, the centre for testing (Krizhevsky et al. 2012, section 4.1)."""
    size = (h * 7 // 8, w * 7 // 8)
    return Augmentation(size, [RandomCrop(size), RandomFlip()], [], [CenterCrop(size)])


def alexnet(channels: int, h: int, w: int) -> Augmentation:
    """``crop-flip``, and the light changes (Krizhevsky et al. 2012, section 4.1)."""
    usual = crop_flip(channels, h, w)
    return usual._replace(before=usual.before + _lighting(channels))


def vgg(channels: int, h: int, w: int) -> Augmentation:
    """Scale from 256 to 512 where the network takes 224 (Simonyan & Zisserman 2014, section 3.1)."""
    return _scaled(channels, h, w, 512 / 224)


def resnet(channels: int, h: int, w: int) -> Augmentation:
    """Scale from 256 to 480 where the network takes 224 (He et al. 2016, section 3.4)."""
    return _scaled(channels, h, w, 480 / 224)


def resized_crop(channels: int, h: int, w: int) -> Augmentation:
    """Windows of 8 to 100 % of the area, resized (Szegedy et al. 2014, section 6)."""
    return Augmentation((h, w), [RandomResizedCrop((h, w)), RandomFlip()])


def colour(channels: int, h: int, w: int) -> Augmentation:
    """``resized-crop``, and brightness, contrast and saturation change (Szegedy et al. 2014, section 6)."""
    return Augmentation(
        (h, w), [RandomResizedCrop((h, w)), RandomFlip(), ColorJitter(0.4, 0.4, 0.4 if channels == 3 else 0)]
    )


def _scaled(channels: int, h: int, w: int, largest: float) -> Augmentation:
    side = min(h, w)
    scale = RandomShorterSide(round(side * 256 / 224), round(side * largest))
    return Augmentation((h, w), [scale, RandomCrop((h, w)), RandomFlip(), *_lighting(channels)])


def _lighting(channels: int) -> list[Transform]:
    return [PCALighting()] if channels == 3 else []  # a grey image has no colours to change


#: name -> function of the images' channels, height and width
AUGMENTATIONS: dict[str, Callable[[int, int, int], Augmentation]] = {
    function.__name__.replace("_", "-"): function
    for function in (none, shift, shift_flip, crop_flip, resized_crop, colour, alexnet, vgg, resnet)
}


def usual_augmentation(data_name: str) -> str:
    """The augmentation that a data set takes if none is asked for: a mirrored digit is another thing, or none."""
    return "shift" if data_name in ("digits", "mnist") else "shift-flip"
