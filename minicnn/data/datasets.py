"""The data sets by name."""

from __future__ import annotations

import inspect

import numpy as np

from ..errors import ArgumentError, suggest
from .arrays import ArrayDataset
from .cifar import cifar10, cifar100
from .folder import FolderDataset
from .idx import fashion_mnist, mnist
from .imagenette import imagenette160, imagenette320
from .splits import by_tens, check_split


def digits(split: str = "train") -> ArrayDataset:
    """scikit-learn's handwritten digits: 1,797 scanned images of 8x8 pixels, in scikit-learn itself (offline).

    The split is fixed and stratified: of every ten images of a class, in the file's order, two are for testing, one for
    validation and seven for training (1,261, 181 and 355 images).

    Parameters
    ----------
    split : {"train", "val", "test"}
    """
    check_split("digits", split)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    chosen = by_tens(bunch.target, split)
    images = bunch.images[chosen, None].astype(np.float32) / 16  # (N, 1, 8, 8), 0 to 1
    return ArrayDataset(images, bunch.target[chosen], range(10), f"digits ({split})")


#: name -> function of a split, and of options; "folder:DIR" is FolderDataset
DATASETS = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "imagenette160": imagenette160,
    "imagenette320": imagenette320,
}


def get_dataset(name: str, split: str = "train", **options) -> ArrayDataset | FolderDataset:
    """A data set by name.

    Parameters
    ----------
    name : str
        One of ``DATASETS``, or ``"folder:DIR"`` for a folder of pictures, see :class:`FolderDataset`.
    split : {"train", "val", "test"}
    options
        What the data set takes, such as ``size=64`` for pictures.

    Returns
    -------
    data set
        Has ``len()``, ``[i] -> (image (C, H, W) float32 in 0 to 1, label)``, ``.classes``, ``.image_shape``,
        ``.statistics()`` and ``.name``.

    Examples
    --------
    >>> digits = get_dataset("digits", "train")
    >>> len(digits), digits.image_shape
    (1261, (1, 8, 8))
    """
    if isinstance(name, str) and name.startswith("folder:"):
        make, arguments = FolderDataset, (name.removeprefix("folder:"), split)
    elif name in DATASETS:
        make, arguments = DATASETS[name], (split,)
    else:
        raise ArgumentError(f"there is no data set {name!r}; {suggest(name, [*DATASETS, 'folder:DIR'])}")
    takes = list(inspect.signature(make).parameters)[len(arguments) :]
    for option in options:
        if option not in takes:
            raise ArgumentError(f"{name}: there is no option {option!r}; {suggest(option, takes)}")
    return make(*arguments, **options)
