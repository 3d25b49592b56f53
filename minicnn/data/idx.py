"""MNIST and Fashion-MNIST, in the IDX format of LeCun's MNIST page."""

from __future__ import annotations

import gzip
import os
import zlib

import numpy as np

from ..errors import DataError
from .arrays import ArrayDataset
from .download import fetch
from .splits import check_split, last_tenth

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
MNIST = {
    "train-images-idx3-ubyte.gz": ("md5:f68b3c2dcbeaaa9fbdd348bbdeb94873", None),
    "train-labels-idx1-ubyte.gz": ("md5:d53e105ee54ea40749a09fcbcd1e9432", None),
    "t10k-images-idx3-ubyte.gz": ("md5:9fb629c4189551a2d022fa330f9573f3", None),
    "t10k-labels-idx1-ubyte.gz": ("md5:ec29112dd5afa0611ce80d1b7f02629c", None),
}
# The second checksum is that of the decompressed content: Debian's package has the files packed anew.
FASHION = {
    "train-images-idx3-ubyte.gz": (
        "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte.gz": (
        "md5:25c81989df183df01b3e8a0aad5dffbe",
        "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte.gz": (
        "md5:bef4ecab320f06d8554ea6380940ec79",
        "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "md5:bb300cfdad3c16e7a12a480ee83cd310",
        "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
MNIST_URLS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
FASHION_URLS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")


def read_idx(path: str | os.PathLike, dimensions: int) -> np.ndarray:
    """Read a gzipped IDX file of bytes.

    Two zero bytes, the element type (8: unsigned byte), the number of dimensions, each dimension as a big-endian
    32-bit integer, then the elements, the last dimension fastest.

    Parameters
    ----------
    path : path-like
    dimensions : int
        3 for images (N, H, W), 1 for labels (N,).

    Returns
    -------
    uint8 array

    Raises
    ------
    DataError
        The file is cut off, too long, or none of IDX.
    """
    try:
        with gzip.open(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0":
                raise DataError(f"{path} is no IDX file: it begins with {head!r}, not with two zero bytes")
            if head[2] != 8:
                raise DataError(f"{path}: the elements are of IDX type 0x{head[2]:02x}, not unsigned bytes (0x08)")
            if head[3] != dimensions:
                raise DataError(f"{path}: IDX data of {head[3]} dimensions, not of {dimensions}")
            sizes = file.read(4 * dimensions)
            if len(sizes) < 4 * dimensions:
                raise DataError(f"{path} is cut off within its dimensions")
            shape = tuple(np.frombuffer(sizes, ">u4").tolist())
            count = int(np.prod(shape, dtype=object))
            elements = file.read(min(count, 2**40) + 1)  # one more shows that there is too much
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read, it is cut off or no gzip file ({error}); fetch it again") from None
    if len(elements) != count:
        more = "more" if len(elements) > count else f"only {len(elements)}"
        raise DataError(f"{path}: its dimensions {shape} make {count} bytes, but there are {more}")
    return np.frombuffer(elements, np.uint8).reshape(shape)


def mnist(split: str = "train") -> ArrayDataset:
    """MNIST: 28x28 grey images of handwritten digits (LeCun, Bottou, Bengio and Haffner 1998).

    The published 10,000 test images; of the published 60,000 training images the last tenth of each class, in the
    file's order, is for validation.

    Parameters
    ----------
    split : {"train", "val", "test"}
    """
    return _load("mnist", split, MNIST, MNIST_URLS, range(10))


def fashion_mnist(split: str = "train") -> ArrayDataset:
    """Fashion-MNIST: 28x28 grey images of ten kinds of clothes (Xiao, Rasul and Vollgraf 2017).

    Split as :func:`mnist`. Debian's package dataset-fashion-mnist is found where it is installed.

    Parameters
    ----------
    split : {"train", "val", "test"}
    """
    return _load("fashion-mnist", split, FASHION, FASHION_URLS, CLOTHES)


def _load(name: str, split: str, files: dict, urls: tuple[str, ...], classes) -> ArrayDataset:
    check_split(name, split)
    images, labels = (
        read_idx(fetch(file, [url + file for url in urls], files[file][0], name, files[file][1]), dimensions)
        for file, dimensions in zip(FILES["test" if split == "test" else "train"], (3, 1))
    )
    if len(images) != len(labels):
        raise DataError(f"{name}: {len(images)} images, but {len(labels)} labels")
    if split != "test":
        chosen = last_tenth(labels) == (split == "val")
        images, labels = images[chosen], labels[chosen]
    return ArrayDataset(images[:, None], labels, classes, f"{name} ({split})")  # (N, 1, H, W)
