"""A small network trained on real images: the accuracy on held-out ones that such a network should reach.

Best weights by the validation images, one look at the test images.
"""

from __future__ import annotations

import pathlib

import data_packages
import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn import data, nn, optim
from minicnn.data import download, splits, transforms
from minicnn.training import evaluate

pytestmark = pytest.mark.compiled


def conv(c_in: int, c_out: int, kernel_size: int = 3) -> list[nn.Module]:
    layer = nn.Conv2d(c_in, c_out, kernel_size, padding=kernel_size // 2, bias=False)
    return [layer, nn.BatchNorm2d(c_out), nn.ReLU()]


def learn(make_model, by_split, out: pathlib.Path, seed: int, epochs: int, batch_size: int, lr: float, augment=()):
    """Train, and return the test accuracy of the epoch that was best on the validation images."""
    mc.manual_seed(seed)
    model, normalize = make_model(), transforms.Normalize(*by_split["train"].statistics())
    augment = transforms.Compose([*augment, normalize])  # before normalising black is 0, which comes in
    train = data.Loader(by_split["train"], batch_size, shuffle=True, seed=seed, transform=augment, workers=1)
    val, test = (data.Loader(by_split[split], 250, transform=normalize) for split in ("val", "test"))
    optimizer = optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=5e-4)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(train))
    mc.Trainer(model, optimizer, train, val, schedule=schedule, out=out, progress=False).fit(epochs)
    model.load_state_dict(mc.load(out / "best.safetensors"))
    return evaluate(model, test).accuracy


# MNIST, 3,500 images -------------------------------------------------------------------------------------------------
def distort(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn by up to 12 degrees, stretch and shear by up to 12 %, shift by up to 2 pixels; black comes in.

    Any function of an image and a generator is a transform.
    """
    angle, shear, (wide, high) = rng.uniform(-0.21, 0.21), rng.uniform(-0.12, 0.12), np.exp(rng.uniform(-0.12, 0.12, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[wide, shear], [0, high]])
    centre = np.array([13.5, 13.5])  # stays where it is, but for the shift
    offset = centre - matrix @ centre + rng.uniform(-2, 2, 2)
    where = (*matrix[0], offset[0], *matrix[1], offset[1])  # of a pixel's value, in the old image
    picture = Image.fromarray(image[0])
    return np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, where, Image.Resampling.BILINEAR))[None]


def four_convolutions() -> nn.Module:
    return nn.Sequential(
        *conv(1, 32, 5), nn.MaxPool2d(2),
        *conv(32, 64), *conv(64, 64), nn.MaxPool2d(2),
        *conv(64, 128), nn.MaxPool2d(2),
        nn.Dropout(0.4), nn.Flatten(), nn.Linear(128 * 9, 10),
    )  # fmt: skip


def train_mnist(out: pathlib.Path, seed: int) -> float:
    by_split = {split: data_packages.mnist_5k(split) for split in splits.SPLITS}
    return learn(four_convolutions, by_split, out, seed, epochs=40, batch_size=32, lr=0.03, augment=[distort])


def test_mnist_5k(tmp_path):
    """3,500 images to train, 1,000 to test: 98.6, 98.8 and 98.8 % with seeds 0, 1 and 2; 200 seconds of one core."""
    assert train_mnist(tmp_path, seed=0) >= 0.98


# Fashion-MNIST -------------------------------------------------------------------------------------------------------
def three_convolutions() -> nn.Module:
    return nn.Sequential(
        *conv(1, 16), nn.MaxPool2d(2), *conv(16, 32), nn.MaxPool2d(2), *conv(32, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 9, 10),
    )  # fmt: skip


def train_fashion_mnist(out: pathlib.Path, seed: int) -> float:
    by_split = {split: data.get_dataset("fashion-mnist", split) for split in splits.SPLITS}
    return learn(three_convolutions, by_split, out, seed, epochs=2, batch_size=64, lr=0.05)


@pytest.mark.skipif(not download.SYSTEM["fashion-mnist"].is_dir(), reason="apt install dataset-fashion-mnist")
def test_fashion_mnist(tmp_path, monkeypatch):
    """54,000 images to train, twice each; 10,000 to test: 90.0, 90.1 and 90.0 % with seeds 0, 1 and 2; 60 seconds."""
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    assert train_fashion_mnist(tmp_path, seed=0) >= 0.88
