"""What is usually done to training images at random, by name, for images of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .transforms import ColorJitter, PadCrop, RandomFlip, RandomResizedCrop, Transform


class Augmentation(NamedTuple):
    """Transforms of training images: some want pixels from 0 to 1, those that pad want the mean grey to be 0."""

    before_normalizing: list[Transform]
    after_normalizing: list[Transform]


#: name -> function of the images' (height, width)
AUGMENTATIONS: dict[str, Callable[[int, int], Augmentation]] = {
    "none": lambda h, w: Augmentation([], []),
    # by an eighth of the image: by 4 pixels at 32x32 (He et al. 2016, section 4.2), by 1 at 8x8
    "shift": lambda h, w: Augmentation([], [PadCrop(min(h, w) // 8)]),
    "shift-flip": lambda h, w: Augmentation([RandomFlip()], [PadCrop(min(h, w) // 8)]),
    "resized-crop": lambda h, w: Augmentation([RandomResizedCrop((h, w)), RandomFlip()], []),  # Szegedy et al. 2014
    "colour": lambda h, w: Augmentation([RandomResizedCrop((h, w)), RandomFlip(), ColorJitter(0.4, 0.4, 0.4)], []),
}


def usual_augmentation(data_name: str) -> str:
    """The augmentation that a data set takes if none is asked for: a mirrored digit is another thing, or none."""
    return "shift" if data_name in ("digits", "mnist") else "shift-flip"
