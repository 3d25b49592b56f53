"""Published files of weights: what is in them, where they are, how their images were prepared.

``get_model("resnet50", weights="torchvision")`` fetches torchvision's file into the cache; ``weights=PATH`` reads any
file, and knows one of these wherever it lies. A file's name ends in the beginning of its SHA-256, which is checked.
"""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import ArgumentError, DataError, FileError, suggest

URL = "https://download.pytorch.org/models/"
FOLDER = "weights"  # in the cache, or where MINICNN_DATA says


@dataclass(frozen=True)
class Preprocessing:
    """From a photograph to what a network was trained on.

    Attributes
    ----------
    resize, crop : int
        Pixels: length of the shorter side, then the square cut out of the middle.
    mean, std : tuple of float
        Per channel, of pixels from 0 to 1.
    interpolation : {"bilinear", "bicubic"}
    """

    resize: int = 256
    crop: int = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"

    def transform(self):
        """As a transform of one image, (3, H, W) from 0 to 1, into (3, crop, crop)."""
        from ..data import transforms

        resize = transforms.Resize(self.resize, self.interpolation)
        return transforms.Compose([resize, transforms.CenterCrop(self.crop), transforms.Normalize(self.mean, self.std)])


@dataclass(frozen=True)
class Published:
    """One published file.

    Attributes
    ----------
    file : str
        Its name; before ``.pth`` stand the first digits of its SHA-256.
    model : str
        As for ``get_model``.
    variants : tuple of str
        The variants of the model that compute what the authors' network does; the first one is taken.
    width : float or None
        Of the model, if it has such a factor on its channels.
    options : dict
        Options that the weights need.
    url : str
        Where it is to be had; empty: from its authors only.
    num_classes, classes
        How many, and of which list: "ImageNet" is that of the challenge of 2012, in the order of its synsets' names.
    """

    file: str
    model: str
    variants: tuple[str, ...] = ("torchvision",)
    width: float | None = None
    options: Mapping = field(default_factory=dict)
    preprocessing: Preprocessing = Preprocessing()
    url: str = URL
    num_classes: int = 1000
    classes: str = "ImageNet"

    @property
    def digits(self) -> str:
        """The beginning of the file's SHA-256."""
        return self.file.removesuffix(".pth").rsplit("-", 1)[1]


BOTH = ("torchvision", "paper")  # the same function
V1_5 = ("torchvision",)  # other strides than the paper's with the same names and shapes: outputs would be wrong
LARGER = Preprocessing(resize=232)

PUBLISHED = (
    Published("alexnet-owt-7be5be79.pth", "alexnet", width=1.0),
    Published("vgg11-8a719046.pth", "vgg11", BOTH, width=1.0),
    Published("vgg13-19584684.pth", "vgg13", BOTH, width=1.0),
    Published("vgg16-397923af.pth", "vgg16", BOTH, width=1.0),
    Published("vgg19-dcbb9e9d.pth", "vgg19", BOTH, width=1.0),
    Published("vgg11_bn-6002323d.pth", "vgg11_bn", BOTH, width=1.0),
    Published("vgg13_bn-abd245e5.pth", "vgg13_bn", BOTH, width=1.0),
    Published("vgg16_bn-6c64b313.pth", "vgg16_bn", BOTH, width=1.0),
    Published("vgg19_bn-c79401a0.pth", "vgg19_bn", BOTH, width=1.0),
    Published("googlenet-1378be20.pth", "googlenet", width=1.0, options={"transform_input": True}),
    Published("resnet18-f37072fd.pth", "resnet18", BOTH),
    Published("resnet34-b627a593.pth", "resnet34", BOTH),
    Published("resnet50-0676ba61.pth", "resnet50", V1_5),
    Published("resnet101-63fe2227.pth", "resnet101", V1_5),
    Published("resnet152-394f9c45.pth", "resnet152", V1_5),
    Published("resnext50_32x4d-7cdf4587.pth", "resnext50_32x4d", BOTH),
    Published("resnext101_32x8d-8ba56ff5.pth", "resnext101_32x8d", BOTH),
    Published("mobilenet_v2-b0353104.pth", "mobilenet_v2", BOTH, width=1.0),
    Published("shufflenetv2_x0.5-f707e7126e.pth", "shufflenet_v2", width=0.5),
    Published("shufflenetv2_x1-5666bf0f80.pth", "shufflenet_v2", width=1.0),
    Published("shufflenetv2_x1_5-3c479a10.pth", "shufflenet_v2", width=1.5, preprocessing=LARGER),
    Published("shufflenetv2_x2_0-8be3c8ee.pth", "shufflenet_v2", width=2.0, preprocessing=LARGER),
    Published(
        "efficientnet-lite0-57934424.pth", "efficientnet_lite0", ("paper",), url="",
        preprocessing=Preprocessing(256, 224, (127 / 255,) * 3, (128 / 255,) * 3, "bicubic"),
    ),
)  # fmt: skip


def find(model: str, width: float = 1.0) -> Published:
    """torchvision's file for a model; ``width`` counts for those that have such an option.

    Raises
    ------
    ArgumentError
        torchvision publishes none.
    """
    of_model = [p for p in PUBLISHED if p.model == model and p.url]
    if not of_model:
        raise ArgumentError(
            f"torchvision has no weights of {model}; {suggest(model, {p.model for p in PUBLISHED if p.url})}"
        )
    for published in of_model:
        if published.width in (None, width):
            return published
    widths = ", ".join(str(p.width) for p in of_model)
    raise ArgumentError(f"torchvision has weights of {model} with width={widths}, not with {width!r}")


def usual_preprocessing(model: str) -> tuple[Preprocessing, bool]:
    """How images are probably prepared for weights of this model whose origin nobody knows, and whether that is sure
    enough to be silent about: all published weights of the model want it so."""
    known = {p.preprocessing for p in PUBLISHED if p.model == model}
    return (known.pop(), True) if len(known) == 1 else (Preprocessing(), False)


def fetch(published: Published) -> pathlib.Path:
    """The file's path: found in the cache or downloaded with a progress bar, and its digits checked.

    Raises
    ------
    FileError
        It cannot be had; the message says from where and into which folder to put it by hand.
    """
    from ..data import download

    try:
        return download.fetch(published.file, [published.url + published.file], f"sha256:{published.digits}", FOLDER)
    except DataError as error:
        raise FileError(str(error)) from None


def recognise(path: pathlib.Path, model: str) -> Published | None:
    """Which published file this is, if it is one: by its name, or else by the digits of its SHA-256.

    Raises
    ------
    FileError
        It has a published name, but other content, or is a published file of another model.
    """
    by_name = next((p for p in PUBLISHED if p.file == path.name), None)
    if by_name is None and (path.suffix not in (".pth", ".pt") or all(p.model != model for p in PUBLISHED)):
        return None  # spares reading it twice
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from None
    found = next((p for p in PUBLISHED if digest.startswith(p.digits)), None)
    if by_name is not None and found is not by_name:
        raise FileError(
            f"{path} is damaged or another file: by its name its SHA-256 begins with {by_name.digits}, but it begins "
            f"with {digest[: len(by_name.digits)]}; fetch it again, or give it another name"
        )
    if found is not None and found.model != model:
        raise FileError(f"{path} is the published file of {found.model}; it does not fit {model}")
    return found
