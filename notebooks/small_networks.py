"""What chapters 02 and 03 train: digits of 32x32 pixels, and an AlexNet small enough for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import minicnn as mc
from minicnn import nn
from minicnn.data import ArrayDataset, Loader, digits
from minicnn.data.transforms import Resize


def large_digits(split: str) -> ArrayDataset:
    """scikit-learn's digits, four times as large (linear between pixels), with mean 0 and deviation 1."""
    small = digits(split)
    pixels = np.stack([Resize(32)(image) for image in small.images])  # (N, 1, 32, 32)
    (mean,), (deviation,) = digits("train").statistics()
    return ArrayDataset((pixels - mean) / deviation, small.labels, range(10), f"large digits ({split})")


class Doubles(nn.Module):
    """To float64. A network that trains in it comes out the same on every machine, and so do the pictures of it.

    In float32 the last digits depend on how a machine adds up, and a hundred steps make another network of them.
    """

    def forward(self, x):
        return x.to("float64")


def mini_alexnet(kernel: int = 7, stride: int = 2) -> nn.Sequential:
    """AlexNet's layers with fewer maps, and without fc7, for (N, 1, 32, 32); ``kernel``, ``stride``: of conv1."""
    side = 3 if stride == 2 else 7  # of conv5's maps
    return nn.Sequential({
        "doubles": Doubles(),
        "conv1": nn.Conv2d(1, 16, kernel, stride, padding=kernel // 2), "relu1": nn.ReLU(),
        "norm1": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2, average=False), "pool1": nn.MaxPool2d(3, 2),
        "conv2": nn.Conv2d(16, 32, 5, padding=2, groups=2), "relu2": nn.ReLU(),
        "norm2": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2, average=False), "pool2": nn.MaxPool2d(3, 2),
        "conv3": nn.Conv2d(32, 48, 3, padding=1), "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(48, 48, 3, padding=1, groups=2), "relu4": nn.ReLU(),
        "conv5": nn.Conv2d(48, 32, 3, padding=1, groups=2), "relu5": nn.ReLU(),
        "flatten": nn.Flatten(), "drop6": nn.Dropout(0.5),
        "fc6": nn.Linear(32 * side * side, 128), "relu6": nn.ReLU(), "fc8": nn.Linear(128, 10),
    }).to("float64")  # fmt: skip


def start(model: nn.Module) -> None:
    """First weights by He's rule (chapter 06), but small ones in conv1, so that what it learns can be seen in them."""
    for path, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        if path == "conv1":
            nn.init.normal_(layer.weight, 0.0, 0.02)


class Rescaling(mc.optim.SGD):
    """After each step filters whose root mean square exceeds 0.1 are scaled back to it (Zeiler & Fergus, section 3)."""

    def step(self) -> None:
        super().step()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim == 4:  # (O, C, KH, KW)
                    size = np.sqrt((weight.data**2).mean((1, 2, 3), keepdims=True))
                    weight.data = weight.data * np.minimum(1, 0.1 / size)


def trained(
    model: nn.Module, epochs: int, lr: float = 0.02, first: Callable | None = start, rescaled: bool = False
) -> list[dict]:
    """Train on the large digits: SGD, momentum 0.9, batches of 64. Returns the rows of ``Trainer.fit``.

    ``first`` sets the first weights, None leaves them as they are; ``rescaled``: with :class:`Rescaling`.
    """
    if first is not None:
        first(model)
    train, val = Loader(large_digits("train"), 64, shuffle=True, seed=0), Loader(large_digits("val"), 256)
    rule = Rescaling if rescaled else mc.optim.SGD
    optimizer = rule(model.parameters(), lr, momentum=0.9, weight_decay=5e-4)
    return mc.Trainer(model, optimizer, train, val, progress=False).fit(epochs)


def accuracy(model: nn.Module, data: ArrayDataset) -> float:
    """Part of the images that are read right."""
    model.eval()
    with mc.no_grad():
        return float(np.mean(model(mc.tensor(data.images)).data.argmax(1) == data.labels))


def dead_maps(model: nn.Module, data: ArrayDataset) -> list[int]:
    """For relu1 to relu5: how many maps are 0 everywhere, in all images."""
    maps = outputs(model, data, [f"relu{i}" for i in range(1, 6)])
    return [int((array.max((0, 2, 3)) == 0).sum()) for array in maps.values()]


def outputs(model: nn.Module, data: ArrayDataset, layers: list[str]) -> dict[str, np.ndarray]:
    """What these layers give for all images, (N, C, H, W) or (N, K)."""
    caught = {}
    handles = [getattr(model, name).register_forward_hook(lambda layer, given, y, name=name: caught.update({name: y}))
               for name in layers]  # fmt: skip
    model.eval()
    with mc.no_grad():
        model(mc.tensor(data.images))
    for handle in handles:
        handle.remove()
    return {name: caught[name].data for name in layers}
