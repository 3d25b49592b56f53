"""Published errors, each with how the image was cropped and where the figure stands.

Figures that were measured differently cannot be compared: ten crops take one to two points off the top-1 error of one
crop, and a newer training recipe may take more. So every figure names its crops and its source. What a network costs is
not written here but counted, see ``comparison.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ONE, TEN, DENSE, LARGE, SMALL, WHOLE = "1 crop", "10 crops", "dense", "1 crop 320", "1 crop < 224", "whole image"
PROTOCOLS = {
    ONE: "the centre, 224 pixels (Caffe's AlexNet 227) of an image whose shorter side is 256 or so",
    TEN: "four corners and the centre, and their mirror images; the mean of ten answers",
    DENSE: "the network slides over the whole image, shorter side 256; the mean of its answers",
    LARGE: "the centre, 320 pixels; multiply-adds and memory are given for that size",
    SMALL: "the centre, of the size given under input",
    WHOLE: "the test image as it is",
}

SOURCES = {
    "torchvision": "accuracies given with the weights IMAGENET1K_V1 in torchvision/models",
    "torchvision, new recipe": "the same; trained far longer and with more augmentation, shorter side 232",
    "Krizhevsky 2012": "table 2, one network",
    "Caffe": "BVLC/caffe, models/bvlc_alexnet and bvlc_googlenet, readme.md",
    "Zeiler 2013": "arXiv 1311.2901, table 2",
    "Simonyan 2014": "arXiv 1409.1556, table 3",
    "Szegedy 2014": "arXiv 1409.4842, table 3",
    "He 2015": "arXiv 1512.03385, tables 2, 3 and 6",
    "He's README": "KaimingHe/deep-residual-networks",
    "He 2016": "arXiv 1603.05027, tables 2, 3 and 5",
    "Xie 2016": "arXiv 1611.05431, tables 3 and 4",
    "Howard 2017": "arXiv 1704.04861, tables 4 to 7",
    "Sandler 2018": "arXiv 1801.04381, table 4",
    "TF slim": "tensorflow/models, research/slim/nets/mobilenet, README.md",
    "Zhang 2017": "arXiv 1707.01083, table 2",
    "Ma 2018": "arXiv 1807.11164; its authors' megvii-model/ShuffleNet-Series, ShuffleNetV2",
    "Megvii": "megvii-model/ShuffleNet-Series, ShuffleNetV1",
    "TensorFlow TPU": "tensorflow/tpu, models/official/efficientnet/lite/README.md",
    "LeCun 1998": "section III.B",
}


@dataclass(frozen=True)
class Figure:
    """One published result.

    Attributes
    ----------
    model, variant, options
        What ``get_model`` takes.
    top1, top5 : float or None
        Errors in per cent; None: not published.
    protocol, source : str
        Keys of ``PROTOCOLS`` and ``SOURCES``.
    size : int or None
        Side of the image, where it is not the network's usual one.
    data : str
        ``"ImageNet"`` (validation images), ``"CIFAR-10"`` or ``"MNIST"`` (test images).
    main : bool
        Whether it belongs in the short table and the picture; trials of one option do not.
    """

    model: str
    variant: str | None
    top1: float | None
    top5: float | None
    protocol: str
    source: str
    options: dict = field(default_factory=dict)
    size: int | None = None
    data: str = "ImageNet"
    main: bool = True


def torchvision(model: str, accuracy1: float, accuracy5: float, new: bool = False, **options) -> Figure:
    """torchvision prints accuracies, always of one crop."""
    source = "torchvision, new recipe" if new else "torchvision"
    return Figure(model, "torchvision", error(accuracy1), error(accuracy5), ONE, source, options)


def error(accuracy: float | None) -> float | None:
    """Per cent wrong, of per cent right."""
    return None if accuracy is None else round(100 - accuracy, 3)


def cifar(model: str, top1: float, source: str, main: bool = True, **options) -> Figure:
    return Figure(model, None, top1, None, WHOLE, source, options, data="CIFAR-10", main=main)


def mobilenet(model, width, accuracy1, accuracy5, source, size=None, main=True, **options) -> Figure:
    """The MobileNets' sources print accuracies."""
    protocol = SMALL if size else ONE
    options |= {} if width == 1 else {"width": width}
    return Figure(model, None, error(accuracy1), error(accuracy5), protocol, source, options, size, main=main)


def shufflenet(version: int, width, top1, top5, source, main=True, **options) -> Figure:
    options = ({} if width == 1 else {"width": width}) | options
    return Figure(f"shufflenet_v{version}", None, top1, top5, ONE, source, options, main=main)


def resnext(name: str, top1: float, top5: float | None, main: bool = True, **options) -> Figure:
    return Figure(name, "paper", top1, top5, ONE, "Xie 2016", options, main=main)


SHUFFLENET_V1 = {  # width: top-1 errors with 1, 2, 3, 4, 8 groups
    0.25: (57.1, 56.8, 55.0, 54.2, 52.7),
    0.5: (45.1, 44.4, 43.2, 41.6, 42.3),
    1: (33.6, 32.7, 32.6, 32.8, 32.4),
}
DESIGNS = {  # order of the layers of a block: errors with 110 and with 164 layers
    "original": (6.61, 5.93), "bn_after_addition": (8.17, 6.50), "relu_before_addition": (7.84, 6.14),
    "relu_only_preactivation": (6.71, 5.91),
}  # fmt: skip

#: of several figures of one network, the first is the one for the short table: one crop where there is one
FIGURES: tuple[Figure, ...] = (
    torchvision("alexnet", 56.522, 79.066),
    Figure("alexnet", "paper", 42.9, 19.8, ONE, "Caffe"),
    Figure("alexnet", "paper", 40.7, 18.2, TEN, "Krizhevsky 2012"),
    Figure("zfnet", "paper", 38.4, 16.5, TEN, "Zeiler 2013"),
    Figure("zfnet", "512-1024-512", 37.5, 16.0, TEN, "Zeiler 2013"),
    torchvision("vgg11", 69.02, 88.628),
    torchvision("vgg13", 69.928, 89.246),
    torchvision("vgg16", 71.592, 90.382),
    torchvision("vgg19", 72.376, 90.876),
    torchvision("vgg11_bn", 70.37, 89.81),
    torchvision("vgg13_bn", 71.586, 90.374),
    torchvision("vgg16_bn", 73.36, 91.516),
    torchvision("vgg19_bn", 74.218, 91.842),
    Figure("vgg11", "paper", 29.6, 10.4, DENSE, "Simonyan 2014"),
    Figure("vgg11", "A-LRN", 29.7, 10.5, DENSE, "Simonyan 2014", main=False),
    Figure("vgg13", "paper", 28.7, 9.9, DENSE, "Simonyan 2014"),
    Figure("vgg16", "C", 28.1, 9.4, DENSE, "Simonyan 2014", main=False),
    Figure("vgg16", "paper", 27.0, 8.8, DENSE, "Simonyan 2014"),
    Figure("vgg16", "paper", 28.07, 9.33, TEN, "He 2015"),
    Figure("vgg19", "paper", 27.3, 9.0, DENSE, "Simonyan 2014"),
    torchvision("googlenet", 69.778, 89.53),
    Figure("googlenet", "paper", 31.3, 11.1, ONE, "Caffe"),
    Figure("googlenet", "paper", None, 10.07, ONE, "Szegedy 2014"),
    Figure("googlenet", "paper", None, 9.15, TEN, "Szegedy 2014"),
    Figure("plain18", None, 27.94, None, TEN, "He 2015"),
    Figure("plain34", None, 28.54, 10.02, TEN, "He 2015"),
    torchvision("resnet18", 69.758, 89.078),
    torchvision("resnet34", 73.314, 91.42),
    torchvision("resnet50", 76.13, 92.862),
    torchvision("resnet101", 77.374, 93.546),
    torchvision("resnet152", 78.312, 94.046),
    Figure("resnet18", "paper", 27.88, None, TEN, "He 2015", {"shortcut": "A"}, main=False),
    Figure("resnet34", "paper", 25.03, 7.76, TEN, "He 2015", {"shortcut": "A"}, main=False),
    Figure("resnet34", "paper", 24.52, 7.46, TEN, "He 2015"),
    Figure("resnet34", "paper", 24.19, 7.40, TEN, "He 2015", {"shortcut": "C"}, main=False),
    Figure("resnet50", "paper", 24.7, 7.8, ONE, "He's README"),
    Figure("resnet50", "paper", 22.85, 6.71, TEN, "He 2015"),
    Figure("resnet101", "paper", 23.6, 7.1, ONE, "He's README"),
    Figure("resnet101", "paper", 21.75, 6.05, TEN, "He 2015"),
    Figure("resnet152", "paper", 23.0, 6.7, ONE, "He's README"),
    Figure("resnet152", "paper", 21.43, 5.71, TEN, "He 2015"),
    Figure("resnet152", "paper", 21.3, 5.5, LARGE, "He 2016", size=320, main=False),
    Figure("preact_resnet152", None, 21.1, 5.5, LARGE, "He 2016", size=320),
    Figure("preact_resnet200", None, 20.7, 5.3, LARGE, "He 2016", size=320),
    torchvision("resnext50_32x4d", 77.618, 93.698),
    resnext("resnext50_32x4d", 22.2, None),
    *(
        resnext("resnext50_32x4d", top1, None, main=False, cardinality=c, width=d)
        for c, d, top1 in ((1, 64, 23.9), (2, 40, 23.0), (4, 24, 22.6), (8, 14, 22.3))
    ),
    resnext("resnext101_32x4d", 21.2, 5.6),
    torchvision("resnext101_32x8d", 79.312, 94.526),
    resnext("resnext101_64x4d", 20.4, 5.3),
    torchvision("resnext101_64x4d", 83.246, 96.454, new=True),
    mobilenet("mobilenet_v1", 1, 70.6, None, "Howard 2017"),
    mobilenet("mobilenet_v1", 0.75, 68.4, None, "Howard 2017"),
    mobilenet("mobilenet_v1", 0.5, 63.7, None, "Howard 2017"),
    mobilenet("mobilenet_v1", 0.25, 50.6, None, "Howard 2017"),
    mobilenet("mobilenet_v1", 1, 71.7, None, "Howard 2017", main=False, full_conv=True),
    mobilenet("mobilenet_v1", 1, 65.3, None, "Howard 2017", main=False, shallow=True),
    mobilenet("mobilenet_v1", 1, 69.1, None, "Howard 2017", 192, main=False),
    mobilenet("mobilenet_v1", 1, 67.2, None, "Howard 2017", 160, main=False),
    mobilenet("mobilenet_v1", 1, 64.4, None, "Howard 2017", 128, main=False),
    mobilenet("mobilenet_v2", 1.4, 75.0, 92.5, "TF slim"),
    mobilenet("mobilenet_v2", 1.4, 74.7, None, "Sandler 2018"),
    mobilenet("mobilenet_v2", 1, 72.0, None, "Sandler 2018"),
    mobilenet("mobilenet_v2", 1, 71.8, 91.0, "TF slim"),
    torchvision("mobilenet_v2", 71.878, 90.286),
    mobilenet("mobilenet_v2", 0.75, 69.8, 89.6, "TF slim"),
    mobilenet("mobilenet_v2", 0.5, 65.4, 86.4, "TF slim"),
    mobilenet("mobilenet_v2", 0.35, 60.3, 82.9, "TF slim"),
    *(
        shufflenet(1, width, top1, None, "Zhang 2017", main=groups == 3, groups=groups)
        for width, errors in SHUFFLENET_V1.items()
        for groups, top1 in zip((1, 2, 3, 4, 8), errors)
    ),
    shufflenet(1, 1.5, 28.4, 9.8, "Megvii", groups=3),
    shufflenet(1, 1.5, 29.0, 10.4, "Megvii", main=False, groups=8),
    shufflenet(1, 2.0, 25.9, 8.6, "Megvii", groups=3),
    shufflenet(1, 2.0, 27.1, 9.2, "Megvii", main=False, groups=8),
    shufflenet(2, 0.5, 38.9, 17.4, "Ma 2018"),
    shufflenet(2, 1, 30.6, 11.1, "Ma 2018"),
    shufflenet(2, 1.5, 27.4, 9.4, "Ma 2018"),
    shufflenet(2, 2.0, 25.0, 7.6, "Ma 2018"),
    torchvision("shufflenet_v2", 60.552, 81.746, width=0.5),
    torchvision("shufflenet_v2", 69.362, 88.316),
    torchvision("shufflenet_v2", 72.996, 91.086, new=True, width=1.5),
    torchvision("shufflenet_v2", 76.230, 93.006, new=True, width=2.0),
    Figure("efficientnet_lite0", None, error(75.1), None, ONE, "TensorFlow TPU"),
    cifar("resnet20", 8.75, "He 2015"),
    cifar("resnet32", 7.51, "He 2015"),
    cifar("resnet44", 7.17, "He 2015"),
    cifar("resnet56", 6.97, "He 2015"),
    cifar("resnet110", 6.43, "He 2015"),  # the best of five runs; their mean is 6.61
    cifar("resnet1202", 7.93, "He 2015"),
    cifar("preact_resnet110", 6.37, "He 2016"),  # from here on medians of five runs
    cifar("preact_resnet164", 5.46, "He 2016"),
    cifar("preact_resnet1001", 4.92, "He 2016"),
    *(
        cifar(f"preact_resnet{depth}", top1, "He 2016", main=False, design=design)
        for design, errors in DESIGNS.items()
        for depth, top1 in zip((110, 164), errors)
    ),
    Figure("lenet5", "paper", 0.95, None, WHOLE, "LeCun 1998", data="MNIST"),
)
