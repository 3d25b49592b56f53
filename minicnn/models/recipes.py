"""How each paper trained its networks: ``models.recipe(name)``, and ``minicnn train --recipe paper``.

Numbers are the papers'; where a paper gives none, its authors' published code does, and the comment says so. Steps that
a paper counts in iterations stand here in epochs of its data set (ImageNet: 1.281 million images, CIFAR-10: 45,000).
In fewer epochs, ``--recipe paper --epochs 20``, the rate falls at the same parts of the way.
"""

from __future__ import annotations

import re

from ..errors import ArgumentError
from ..recipe import Recipe
from .registry import list_models

RECIPES: dict[str, Recipe] = {
    # Krizhevsky et al. 2012, section 5: rate / 10 "when the validation error rate stopped improving"
    r"alexnet": Recipe(
        epochs=90, batch_size=128, lr=0.01, weight_decay=5e-4, schedule="plateau", warmup=0, augment="alexnet"
    ),
    # Zeiler & Fergus 2013, section 3: annealed by hand on a plateau; no weight decay is mentioned
    r"zfnet": Recipe(
        epochs=70, batch_size=128, lr=0.01, weight_decay=0.0, schedule="plateau", warmup=0, augment="crop-flip"
    ),
    # Simonyan & Zisserman 2014, section 3.1
    r"vgg\d+(_bn)?": Recipe(
        epochs=74, batch_size=256, lr=0.01, weight_decay=5e-4, schedule="plateau", warmup=0, augment="vgg"
    ),
    # Szegedy et al. 2014, section 6: -4 % every 8 epochs, running means of the weights. Rate, batch, decay and length:
    # the authors' numbers are unknown, these are those of Caffe's model
    r"googlenet": Recipe(
        epochs=250, batch_size=32, lr=0.01, weight_decay=2e-4, schedule="step", step_size=8, gamma=0.96, warmup=0,
        ema=0.9999, augment="colour",
    ),
    # He et al. 2016, section 3.4: up to 600,000 iterations of 256 images
    r"(plain|resnet)(18|34|50|101|152)": Recipe(
        epochs=120, batch_size=256, lr=0.1, weight_decay=1e-4, schedule="plateau", warmup=0, augment="resnet"
    ),
    # He et al. 2016, section 4.2: 64,000 iterations of 128 images, rate / 10 at 32,000 and 48,000
    r"(plain|resnet)(20|32|44|56)": Recipe(
        epochs=182, batch_size=128, lr=0.1, weight_decay=1e-4, schedule="multistep", milestones=(91, 136.5), warmup=0,
        augment="shift-flip",
    ),
    # the same section: the deepest warm up at 0.01 for about 400 iterations; here the rate rises to 0.1 meanwhile
    r"(plain|resnet)(110|1202)|preact_resnet(20|32|44|56|110|164|1001)": Recipe(
        epochs=182, batch_size=128, lr=0.1, weight_decay=1e-4, schedule="multistep", milestones=(91, 136.5),
        warmup=1.14, augment="shift-flip",
    ),
    # He et al. 2016 (identity mappings), appendix, and Xie et al. 2017, section 4: rate / 10 every 30 epochs
    r"preact_resnet(18|34|50|152|200)|resnext\d+_\d+x\d+d": Recipe(
        epochs=90, batch_size=256, lr=0.1, weight_decay=1e-4, schedule="multistep", milestones=(30, 60), warmup=0,
        augment="resized-crop",
    ),
    # Howard et al. 2017, section 3.2: as Inception V3 (Szegedy et al. 2016, section 8), no decay of depthwise filters
    r"mobilenet_v1": Recipe(
        epochs=100, batch_size=96, optimizer="rmsprop", lr=0.045, momentum=0.9, alpha=0.9, eps=1.0, eps_inside=True,
        weight_decay=4e-5, decay="no-depthwise", schedule="step", step_size=2, gamma=0.94, warmup=0,
        augment="resized-crop",
    ),
    # Sandler et al. 2018, section 6.1: x 0.98 each epoch; the length is that of torchvision's training
    r"mobilenet_v2": Recipe(
        epochs=300, batch_size=96, optimizer="rmsprop", lr=0.045, momentum=0.9, alpha=0.9, eps=1.0, eps_inside=True,
        weight_decay=4e-5, schedule="exponential", gamma=0.98, warmup=0, augment="resized-crop",
    ),
    # Zhang et al. 2018, section 4; Ma et al. 2018, section 4: in a straight line to 0 over 300,000 iterations; label
    # smoothing is in the authors' code
    r"shufflenet_v[12]": Recipe(
        epochs=240, batch_size=1024, lr=0.5, weight_decay=4e-5, schedule="poly", warmup=0, label_smoothing=0.1,
        augment="resized-crop",
    ),
    # Tan & Le 2019, section 5.2: x 0.97 every 2.4 epochs; batch and rate belong together, 0.016 for 256 images
    r"efficientnet_lite0": Recipe(
        epochs=350, batch_size=4096, optimizer="rmsprop", lr=0.256, momentum=0.9, alpha=0.9, eps=1e-3, eps_inside=True,
        weight_decay=1e-5, schedule="step", step_size=2.4, gamma=0.97, warmup=5, ema=0.9999, label_smoothing=0.1,
        augment="resized-crop",
    ),
}  # fmt: skip


def recipe(name: str) -> Recipe:
    """How the paper trained a model.

    Parameters
    ----------
    name : str
        One of ``models.list_models()``.

    Returns
    -------
    Recipe
        ``recipe.in_epochs(20)`` is the same in less time, ``dataclasses.replace(recipe, lr=0.01)`` another one.

    Raises
    ------
    ArgumentError
        If there is none: LeNet-5 was trained by a method of second order, which is not here; a model of your own has
        no paper.

    Examples
    --------
    >>> recipe("resnet20").milestones
    (91, 136.5)
    >>> recipe("resnet20").in_epochs(20).milestones
    (10.0, 15.0)
    """
    found = next((r for pattern, r in RECIPES.items() if re.fullmatch(pattern, name)), None)
    if found is None:
        known = ", ".join(n for n in list_models() if any(re.fullmatch(pattern, n) for pattern in RECIPES))
        raise ArgumentError(f"there is no paper's recipe for {name!r}; there is one for {known}")
    return found
