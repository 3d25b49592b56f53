"""Transforms: geometry to the pixel, colour against the formulas, drawing against the distributions."""

from __future__ import annotations

import colorsys
import copy
import pickle

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.data import transforms
from minicnn.data.transforms import colour

NUMBERS = np.arange(12, dtype=np.float32).reshape(1, 3, 4)  # every pixel its own number


def drawn(c=3, h=20, w=30, seed=0):
    return np.random.default_rng(seed).random((c, h, w), dtype=np.float32)


def generator(seed=0):
    return np.random.default_rng(seed)


JITTER = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
# what is drawn: transform, shape of the result of a 3x20x30 image
DRAWING = [
    (transforms.PadCrop(4), (3, 20, 30)),
    (transforms.RandomFlip(), (3, 20, 30)),
    (transforms.RandomCrop((10, 12)), (3, 10, 12)),
    (transforms.RandomShorterSide(10, 40), None),
    (transforms.RandomResizedCrop(16), (3, 16, 16)),
    (transforms.RandomResizedCrop((8, 10), interpolation="bicubic"), (3, 8, 10)),
    (JITTER, (3, 20, 30)),
    (transforms.PCALighting(0.5), (3, 20, 30)),
    (transforms.Compose([transforms.RandomCrop(9), transforms.RandomFlip(), JITTER]), (3, 9, 9)),
]
FIXED = [
    (transforms.Resize(10), (3, 10, 15)),
    (transforms.Resize((7, 9), "bicubic"), (3, 7, 9)),
    (transforms.CenterCrop(8), (3, 8, 8)),
    (transforms.TenCrop((5, 6)), (10, 3, 5, 6)),
    (transforms.Normalize([0.5] * 3, [0.2] * 3), (3, 20, 30)),
    (transforms.Enlarge(2), (3, 40, 60)),
    (transforms.Grayscale(), (1, 20, 30)),
    (transforms.Grayscale(3), (3, 20, 30)),
    (transforms.ToRGB(), (3, 20, 30)),
    (transforms.RandomFlip(0), (3, 20, 30)),
    (transforms.Resize(20), (3, 20, 30)),
    (transforms.RandomCrop((20, 30)), (3, 20, 30)),
]


@pytest.mark.parametrize("transform, shape", DRAWING + FIXED, ids=lambda value: str(value)[:40])
def test_result_is_new_float32_and_follows_from_the_generator(transform, shape):
    image = drawn()
    before = image.copy()
    image.setflags(write=False)
    results = [transform(image, generator(seed)) for seed in (0, 0, *range(1, 12))]
    assert results[0].dtype == np.float32 and np.isfinite(results[0]).all()
    assert shape is None or {r.shape for r in results} == {shape}
    np.testing.assert_array_equal(results[0], results[1])  # the same generator, the same picture
    different = {r.tobytes() for r in results}
    assert len(different) > 1 if (transform, shape) in DRAWING else len(different) == 1
    results[0][...] = 7  # belongs to the caller
    np.testing.assert_array_equal(image, before)


def test_results_may_be_written_to_and_share_nothing():
    """In-place code after a crop must not reach the data set."""
    image = drawn()
    for transform, _ in DRAWING + FIXED:
        assert not np.shares_memory(transform(image, generator()), image), transform


@pytest.mark.parametrize("layout", ["channels last", "strided", "float64"])
def test_memory_layout_and_precision_do_not_matter(layout):
    image = drawn()
    same = {
        "channels last": np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1),
        "strided": np.repeat(image, 2, axis=2)[:, :, ::2],
        "float64": image.astype(np.float64),
    }[layout]
    for transform, _ in DRAWING + FIXED:
        np.testing.assert_array_equal(transform(same, generator(1)), transform(image, generator(1)), str(transform))


# Geometry -----------------------------------------------------------------------------------------------------------
def test_flip_mirrors_left_and_right():
    np.testing.assert_array_equal(transforms.RandomFlip(1)(NUMBERS, generator())[0, 0], [3, 2, 1, 0])
    flipped = [transforms.RandomFlip(0.25)(NUMBERS, generator(i))[0, 0, 0] == 3 for i in range(2000)]
    assert abs(np.mean(flipped) - 0.25) < 0.04


def test_pad_crop_is_a_window_of_the_padded_image():
    padded = np.pad(NUMBERS[0], 1)
    windows = {padded[i : i + 3, j : j + 4].tobytes() for i in range(3) for j in range(3)}
    seen = {transforms.PadCrop(1)(NUMBERS, generator(i))[0].tobytes() for i in range(100)}
    assert seen == windows  # all nine, and nothing else


def test_random_crop_reaches_every_place():
    windows = {NUMBERS[0, i : i + 2, j : j + 2].tobytes() for i in range(2) for j in range(3)}
    assert {transforms.RandomCrop(2)(NUMBERS, generator(i))[0].tobytes() for i in range(100)} == windows


def test_center_crop():
    np.testing.assert_array_equal(transforms.CenterCrop((1, 2))(NUMBERS), [[[5, 6]]])
    np.testing.assert_array_equal(transforms.CenterCrop((3, 4))(NUMBERS), NUMBERS)
    row = np.arange(343.0, dtype=np.float32).reshape(1, 1, 343)  # 119 left over: torchvision starts at round(59.5)
    assert transforms.CenterCrop((1, 224))(row)[0, 0, 0] == 60


def test_ten_crops_in_order():
    crops = transforms.ten_crops(NUMBERS, (1, 2))
    np.testing.assert_array_equal(crops[:5, 0, 0], [[0, 1], [2, 3], [8, 9], [10, 11], [5, 6]])
    np.testing.assert_array_equal(crops[5:], crops[:5, :, :, ::-1])
    np.testing.assert_array_equal(transforms.TenCrop((1, 2))(NUMBERS), crops)


def test_enlarge():
    np.testing.assert_array_equal(transforms.Enlarge(2)(NUMBERS[:, :1, :2]), [[[0, 0, 1, 1], [0, 0, 1, 1]]])


@pytest.mark.parametrize("interpolation, filter", [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)])
@pytest.mark.parametrize("size", [(7, 11), (45, 31), (20, 9)])
def test_resize_is_pillows_without_its_rounding(size, interpolation, filter):
    pixels = np.random.default_rng(0).integers(50, 206, (20, 30, 3), np.uint8)  # room for bicubic's overshoot
    expected = np.asarray(Image.fromarray(pixels).resize(size[::-1], filter)).transpose(2, 0, 1)
    ours = transforms.Resize(size, interpolation)(pixels.transpose(2, 0, 1).astype(np.float32) / 255)
    assert np.abs(ours - expected / 255).max() < 1.2 / 255  # Pillow rounds twice: after the rows, after the columns
    assert len(np.unique((ours * 255).round(2))) > len(np.unique(expected))


def test_resize_averages_stripes_away():
    """Antialiasing: stripes of one pixel become grey; picking every fourth pixel would make them black or white."""
    stripes = np.tile(np.array([0, 1], np.float32), (1, 32, 16))
    small = transforms.Resize(16)(stripes)
    assert small.shape == (1, 16, 16) and np.abs(small[:, :, 1:-1] - 0.5).max() < 0.01


@pytest.mark.parametrize("h, w, size", [(300, 400, (256, 341)), (400, 300, (341, 256)), (100, 100, (256, 256))])
def test_resize_keeps_the_aspect_ratio(h, w, size):
    assert transforms.Resize(256)(np.zeros((1, h, w), np.float32)).shape == (1, *size)


def test_shorter_side_is_uniform_in_its_range():
    image = np.zeros((1, 4, 8), np.float32)
    shapes = [transforms.RandomShorterSide(5, 8)(image, generator(i)).shape for i in range(400)]
    assert all(w == 2 * h for _, h, w in shapes)
    assert set(np.bincount([h for _, h, _ in shapes])[5:] > 70) == {True} and {h for _, h, _ in shapes} == {5, 6, 7, 8}


def test_windows_have_the_area_and_aspect_of_the_paper():
    """Szegedy et al. 2014: area even between 8 % and 100 %, aspect from 3/4 to 4/3."""
    crop, h, w = transforms.RandomResizedCrop(224), 400, 500
    windows = np.array([crop.window(h, w, generator(i)) for i in range(3000)])
    top, left, ch, cw = windows.T
    assert (top >= 0).all() and (left >= 0).all() and (top + ch <= h).all() and (left + cw <= w).all()
    area, ratio = ch * cw / (h * w), cw / ch
    assert 0.079 < area.min() < 0.1 and 0.9 < area.max() <= 1
    assert 0.745 < ratio.min() < 0.77 and 1.31 < ratio.max() < 1.34
    # windows near the full area fit for some aspects only and are drawn again: a little less than the mean 0.54
    assert 0.46 < area.mean() < 0.54 and abs(np.log(ratio).mean()) < 0.03
    small = np.log(ratio[area < 0.5])  # these always fit: uniform from -log(4/3) to log(4/3)
    assert abs(small.std() - 2 * np.log(4 / 3) / np.sqrt(12)) < 0.01


@pytest.mark.parametrize("h, w, window", [(10, 1000, (0, 493, 10, 13)), (1000, 10, (493, 0, 13, 10))])
def test_no_window_fits_a_very_long_image(h, w, window):
    """After ten tries the largest centred window of an allowed aspect."""
    assert transforms.RandomResizedCrop(8, scale=(0.9, 1)).window(h, w, generator()) == window
    assert transforms.RandomResizedCrop(8, (1, 1), (3, 4)).window(1, 1, generator()) == (0, 0, 1, 1)


def test_resized_crop_is_its_window_resized():
    image, crop = drawn(1, 12, 40), transforms.RandomResizedCrop((6, 9))
    for seed in range(20):
        top, left, h, w = crop.window(12, 40, generator(seed))
        expected = transforms.Resize((6, 9))(image[:, top : top + h, left : left + w])
        np.testing.assert_array_equal(crop(image, generator(seed)), expected)


def test_crop_does_not_see_beyond_its_window():
    """One pixel enlarged is one colour, whatever stands beside it."""
    result = transforms.RandomResizedCrop(5, (1 / 12, 1 / 12), (1, 1))(NUMBERS, generator())
    assert np.ptp(result) == 0


# Colour -------------------------------------------------------------------------------------------------------------
def test_grey_is_the_brightness():
    image = drawn(3, 4, 5)
    r, g, b = image
    expected = 0.299 * r + 0.587 * g + 0.114 * b
    np.testing.assert_allclose(transforms.Grayscale()(image)[0], expected, atol=1e-6)
    np.testing.assert_allclose(transforms.Grayscale(3)(image), [expected] * 3, atol=1e-6)
    np.testing.assert_array_equal(transforms.ToRGB()(image[:1]), image[[0, 0, 0]])
    np.testing.assert_array_equal(transforms.Grayscale()(image[:1]), image[:1])


def test_brightness_contrast_and_saturation_by_hand():
    image = drawn(3, 4, 5)
    r, g, b = image
    grey = 0.299 * r + 0.587 * g + 0.114 * b
    for f in (0.3, 1.7):
        for option, other in (("brightness", 0), ("contrast", grey.mean()), ("saturation", grey)):
            result = transforms.ColorJitter(**{option: (f, f)})(image, generator())
            np.testing.assert_allclose(result, np.clip(f * image + (1 - f) * other, 0, 1), atol=1e-6, err_msg=option)
    dark = transforms.ColorJitter(contrast=(0, 0))(image[:1], generator())  # one channel is its own grey
    np.testing.assert_allclose(dark, image[:1].mean(), atol=1e-6)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.25, 1 / 3])
def test_hue_turns_as_the_standard_library_does(turn):
    image = drawn(3, 4, 5)
    image[:, 0, 0] = 0.4  # a grey has no hue
    image[:, 0, 1] = 0
    result = transforms.ColorJitter(hue=(turn, turn))(image, generator())
    for i, j in np.ndindex(4, 5):
        h, s, v = colorsys.rgb_to_hsv(*image[:, i, j].tolist())
        np.testing.assert_allclose(result[:, i, j], colorsys.hsv_to_rgb((h + turn) % 1, s, v), atol=1e-5)


def test_jitter_draws_factors_from_its_range_and_orders_at_random():
    image = np.full((1, 1, 1), 0.5, np.float32)
    factors = [2 * transforms.ColorJitter(brightness=0.4)(image, generator(i)).item() for i in range(1000)]
    assert 0.6 <= min(factors) < 0.62 and 1.38 < max(factors) <= 1.4 and abs(np.mean(factors) - 1) < 0.03
    image = drawn(3, 4, 5)  # two steps that clip do not commute: two results
    both = transforms.ColorJitter(brightness=(2, 2), contrast=(0.5, 0.5))
    steps = [lambda x: colour.brighten(x, np.float32(2)), lambda x: colour.change_contrast(x, np.float32(0.5))]
    expected = {steps[i](steps[1 - i](image)).tobytes() for i in (0, 1)}
    assert {both(image, generator(i)).tobytes() for i in range(40)} == expected and len(expected) == 2


def test_jitter_of_nothing_changes_nothing():
    image = drawn()
    np.testing.assert_array_equal(transforms.ColorJitter()(image, generator()), image)
    assert transforms.ColorJitter(2).brightness == (0, 3)


def test_lighting_has_the_covariance_of_the_paper():
    """p1 a1 l1 + p2 a2 l2 + p3 a3 l3, a of deviation 0.1: covariance sigma^2 P diag(l^2) P'."""
    image, lighting = np.full((3, 2, 2), 0.5, np.float32), transforms.PCALighting(0.1)
    shifts = np.array([lighting(image, generator(i)) - image for i in range(8000)])
    assert np.ptp(shifts, axis=(2, 3)).max() == 0  # one colour for the whole image
    values, vectors = np.array(colour.IMAGENET_EIGENVALUES), np.array(colour.IMAGENET_EIGENVECTORS)
    expected = 0.01 * vectors @ np.diag(values**2) @ vectors.T
    assert np.abs(np.cov(shifts[:, :, 0, 0].T) - expected).max() < 0.05 * expected.max()
    assert np.abs(shifts.mean(0)).max() < 1e-3
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-3)


def test_pca_of_finds_the_axes():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    pixels = axes @ (rng.standard_normal((3, 20000)) * np.array([[0.3], [0.2], [0.1]]))
    images = pixels.reshape(3, 2, 100, 100).transpose(1, 0, 2, 3)
    values, vectors = transforms.pca_of(images)
    np.testing.assert_allclose(values, [0.09, 0.04, 0.01], rtol=0.05)
    np.testing.assert_allclose(np.abs((vectors * axes).sum(0)), 1, atol=1e-3)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, np.cov(pixels), atol=1e-9)
    eight_bit = rng.integers(0, 256, (2, 3, 8, 8), np.uint8)
    np.testing.assert_allclose(transforms.pca_of(eight_bit)[0], transforms.pca_of(eight_bit / 255)[0])
    assert transforms.PCALighting(0.1, *transforms.pca_of(eight_bit))(drawn(), generator()).shape == (3, 20, 30)


# Chains -------------------------------------------------------------------------------------------------------------
def test_compose_goes_from_left_to_right():
    half, crop = transforms.Normalize([0], [2]), transforms.CenterCrop(1)
    chain = transforms.Compose([transforms.Enlarge(3), half, crop])
    assert chain(np.ones((1, 2, 2), np.float32)).tolist() == [[[0.5]]]
    order = [transforms.Compose([lambda x, rng: x + 1, lambda x, rng: x * 2]), lambda x, rng: x - 1]
    assert transforms.Compose(order)(np.ones((1, 1, 1))).item() == 3
    assert repr(transforms.Compose([transforms.RandomFlip()])) == "Compose([RandomFlip()])"
    assert repr(transforms.Normalize((0.30444,), std=np.ones(1))) == "Normalize((0.3044,), std=[1])"
    assert repr(copy.deepcopy(half)) == repr(half) and pickle.loads(pickle.dumps(half)).std == 2


def test_whole_chain_does_not_depend_on_workers():
    """Every transform is a function of (seed, epoch, index): threads change nothing, epochs and seeds do."""
    chain = transforms.Compose([
        transforms.RandomShorterSide(20, 30), transforms.RandomCrop(18), transforms.RandomResizedCrop(16),
        transforms.RandomFlip(), JITTER, transforms.PCALighting(), transforms.Normalize([0.5] * 3, [0.3] * 3),
        transforms.PadCrop(2),
    ])  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 20, 24), np.uint8)
    dataset = data.ArrayDataset(images, np.arange(30) % 3, "abc".split() * 3)

    def batches(seed, workers):
        loader = data.Loader(dataset, 8, shuffle=True, seed=seed, transform=chain, workers=workers)
        return [np.concatenate([x for x, _ in loader]) for _ in range(2)]

    first, second = batches(5, 0)
    assert first.shape == (30, 3, 16, 16) and first.dtype == np.float32
    np.testing.assert_array_equal([first, second], batches(5, 2))
    assert not np.array_equal(first, second) and not np.array_equal(first, batches(6, 0)[0])
