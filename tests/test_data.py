"""Data sets, transforms, loader."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minicnn import data
from minicnn.data import transforms


def test_digits_split_is_fixed_stratified_and_disjoint():
    """The same images for everybody; every class in every split in proportion; no image in two splits."""
    splits = {name: data.digits(name) for name in ("train", "val", "test")}
    assert {name: len(d) for name, d in splits.items()} == {"train": 1261, "val": 181, "test": 355}
    total = np.bincount(np.concatenate([d.labels for d in splits.values()]))
    for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert np.all(np.abs(np.bincount(splits[name].labels) / total - share) < 0.01)
    rows = np.concatenate([d.images.reshape(len(d), -1) for d in splits.values()])
    assert len(np.unique(rows, axis=0)) == len(rows) == 1797
    assert splits["train"].images.dtype == np.float32 and splits["train"].images.max() == 1.0


def test_uint8_images_become_floats_in_0_to_1():
    d = data.ArrayDataset(np.full((2, 3, 4, 4), 255, np.uint8), [0, 1], ["cat", "dog"])
    image, label = d[1]
    assert image.dtype == np.float32 and image.max() == 1.0 and label == 1
    mean, std = d.statistics()
    assert mean == (1.0,) * 3 and std == (0.0,) * 3


def test_statistics_of_bytes_are_those_of_floats(rng):
    """They are counted, a thousand images at a time."""
    images = rng.integers(0, 256, (2500, 3, 4, 4), np.uint8) // np.array([1, 2, 3], np.uint8).reshape(3, 1, 1)
    images[2000:] //= 2
    got = data.ArrayDataset(images, np.zeros(2500, int), ["any"]).statistics()
    want = images / 255
    np.testing.assert_allclose(got, (want.mean((0, 2, 3)), want.std((0, 2, 3))), rtol=1e-12)


def collect(loader):
    batches = list(loader)
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


def make(workers=0, **options):
    augment = transforms.Compose([transforms.PadCrop(1), transforms.Normalize([0.3], [0.4])])
    return data.Loader(data.digits("val"), 32, shuffle=True, seed=3, transform=augment, workers=workers, **options)


def test_batches_do_not_depend_on_workers():
    """Order is a function of (seed, epoch), augmentation of (seed, epoch, index): threads change nothing."""
    expected = [collect(loader) for loader in [make()] for _ in range(2)]
    for workers in (1, 3):
        loader = make(workers)
        for images, labels in expected:
            x, y = collect(loader)
            np.testing.assert_array_equal(x, images)
            np.testing.assert_array_equal(y, labels)
    assert not np.array_equal(expected[0][1], expected[1][1])  # another epoch, another order


def test_every_image_comes_once_and_batches_are_channels_last():
    loader = data.Loader(data.digits("val"), 32, shuffle=True)
    batches = list(loader)
    assert [len(y) for _, y in batches] == [32] * 5 + [21] and len(loader) == 6
    assert batches[0][0].transpose(0, 2, 3, 1).flags.c_contiguous and batches[0][1].dtype == np.int64
    images, _ = collect(data.Loader(data.digits("val"), 50))
    np.testing.assert_array_equal(images, data.digits("val").images)
    assert len(list(data.Loader(data.digits("val"), 32, drop_last=True))) == 5


def test_leaving_the_loop_early_ends_the_threads():
    for _ in make(workers=2):
        break
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_an_error_in_a_worker_reaches_the_caller():
    def broken(image, rng):
        raise ValueError("this image is broken")

    with pytest.raises(ValueError, match="this image is broken"):
        list(data.Loader(data.digits("val"), 32, transform=broken, workers=2))


def test_pad_crop_shifts_and_fills_with_zeros():
    image = np.ones((1, 4, 4), np.float32)
    crops = [transforms.PadCrop(1)(image, np.random.default_rng(i)) for i in range(50)]
    assert all(c.shape == (1, 4, 4) for c in crops)
    assert {int(c.sum()) for c in crops} == {16, 12, 9}  # not shifted, along one axis, along both


def test_streams_of_random_numbers_do_not_coincide():
    """NumPy's (seed, epoch) and (seed, epoch, 0) are one stream: order, augmentation and weights need their own."""
    loader = data.Loader(data.digits("val"), 32, shuffle=True, seed=3)
    order = loader.order(0)
    for same in ((3,), (3, 0), (3, 0, 0)):
        assert not np.array_equal(order, np.random.default_rng(same).permutation(len(order)))
    drawn = []
    loader = data.Loader(
        data.digits("val"), 4, seed=3, transform=lambda image, rng: (drawn.append(rng.random()), image)[1]
    )
    next(iter(loader))
    assert len(set(drawn)) == 4 and np.random.default_rng((3, 0)).random() not in drawn
