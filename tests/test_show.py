"""Grids of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import case, complaint
from PIL import Image

import minicnn as mc
from minicnn import data
from minicnn.data import transforms

S, D, A = mc.ShapeError, mc.DataError, mc.ArgumentError
DIGITS = data.digits("val")


def drawn(n=5, c=3, h=6, w=8):
    return np.random.default_rng(0).random((n, c, h, w), dtype=np.float32)


def pictures(figure):
    """The arrays that a figure shows, and what is written above each."""
    shown = [axes for axes in figure.axes if axes.images]
    return [np.asarray(a.images[0].get_array()) for a in shown], [a.get_title() for a in shown]


def title(figure) -> str:
    return figure.get_suptitle()


def test_arrays_are_drawn_as_they_are(tmp_path):
    images = drawn()
    figure = data.show(
        images, labels=[2, 0, 1, 1, 0], classes=["cat", "dog", "owl"], columns=3, path=tmp_path / "a.png"
    )
    shown, names = pictures(figure)
    assert names == ["owl", "cat", "dog", "dog", "cat"] and title(figure) == ""
    np.testing.assert_array_equal(shown, images.transpose(0, 2, 3, 1))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > picture.size[1] > 100
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_grey_is_drawn_from_black_to_white():
    """A dark picture stays dark: its own minimum and maximum do not count."""
    figure = data.show(np.full((1, 1, 4, 4), 0.25))
    assert figure.axes[0].images[0].get_clim() == (0, 1) and pictures(figure)[0][0].max() == 0.25


def test_data_sets_bring_names_and_say_how_many():
    figure = data.show(DIGITS, columns=4, n=6)
    shown, names = pictures(figure)
    np.testing.assert_array_equal(shown, DIGITS.images[:6, 0])
    assert names == [DIGITS.classes[label] for label in DIGITS.labels[:6]]
    assert title(figure) == f"digits (val): the first 6 of {len(DIGITS)}"
    assert len(pictures(data.show(DIGITS, columns=2))[0]) == 16  # eight rows


def test_loaders_show_the_next_batch_and_keep_it():
    """A look must not change the training run that follows."""
    make = lambda: data.Loader(DIGITS, 10, shuffle=True, transform=transforms.PadCrop(1))  # noqa: E731
    loader = make()
    shown, names = pictures(data.show(loader))
    assert loader.epoch == 0
    for (x, y), (expected, labels) in zip(loader, make(), strict=True):
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, labels)
    x, y = next(iter(make()))
    np.testing.assert_array_equal(shown, x[:, 0])
    assert names == [str(label) for label in y]
    batch, names = pictures(data.show((x, y), n=3))
    np.testing.assert_array_equal(batch, x[:3, 0])
    assert names == [str(label) for label in y[:3]]


def test_normalised_pictures_are_rescaled_together_and_say_so():
    images = 4 * drawn() - 2
    figure = data.show(images)
    low, high = images.min(), images.max()
    assert title(figure) == f"rescaled: black is {low:.3g}, white is {high:.3g}"
    np.testing.assert_allclose(pictures(figure)[0], ((images - low) / (high - low)).transpose(0, 2, 3, 1), atol=1e-6)
    assert images.min() == low  # the caller's array is as it was


def test_other_kinds_of_pictures():
    bytes_ = np.full((2, 3, 4, 4), 255, np.uint8)
    assert pictures(data.show(bytes_))[0][0].max() == 1
    assert len(pictures(data.show(mc.tensor(drawn(3))))[0]) == 3
    assert len(pictures(data.show(drawn(1)[0]))[0]) == 1  # one picture
    sizes = [drawn(1, 1, 4, 5)[0], drawn(1, 3, 9, 9)[0]]  # grey and colour, small and large
    assert [p.shape for p in pictures(data.show(sizes))[0]] == [(4, 5), (9, 9, 3)]
    assert len(pictures(data.show([(drawn(1)[0], 1), (drawn(1)[0], 0)]))[1]) == 2  # a list of pairs is a data set


def test_preview_begins_with_the_original(tmp_path):
    image = drawn(1)[0]
    figure = transforms.preview(transforms.RandomCrop(4), image, n=9, seed=1, path=tmp_path / "p.png")
    shown, _ = pictures(figure)
    np.testing.assert_array_equal(shown[0], image.transpose(1, 2, 0))
    assert [p.shape for p in shown[1:]] == [(4, 4, 3)] * 8 and len({p.tobytes() for p in shown}) > 3
    assert title(figure) == "the original, then RandomCrop(4)" and (tmp_path / "p.png").exists()
    again, _ = pictures(transforms.preview(transforms.RandomCrop(4), image, n=9, seed=1))
    for one, other in zip(shown, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(pictures(transforms.preview(transforms.TenCrop(4), image, n=11))[0]) == 11
    assert len(pictures(transforms.preview(transforms.RandomFlip(), image, n=70))[0]) == 70


MISTAKES = [
    case("a name", lambda: data.show("digits"), D, "'digits'", "get_dataset"),
    case("a number", lambda: data.show(3), D, "int", "data set or a loader"),
    case("no channels", lambda: data.show(np.zeros((5, 8, 8))), S, "(5, 8, 8)", "images[:, None]"),
    case("channels last", lambda: data.show(np.zeros((5, 8, 8, 3))), S, "(8, 8, 3)", "(H, W, C)", "transpose(2, 0, 1)"),
    case("five channels", lambda: data.show(np.zeros((2, 5, 8, 8))), S, "1 or 3 channels", "(5, 8, 8)"),
    case("NaN", lambda: data.show(np.full((2, 1, 8, 8), np.nan)), D, "picture 0", "NaN"),
    case("nothing", lambda: data.show(np.zeros((0, 1, 8, 8))), D, "no pictures"),
    case("two labels", lambda: data.show(drawn(), [0, 1]), D, "5 pictures", "2 labels"),
    case("label 3", lambda: data.show(drawn(1), [3], ["a", "b"]), D, "label 3", "2 classes", "0 to 1"),
    case("label 0.5", lambda: data.show(drawn(1), [0.5], ["a", "b"]), D, "whole number", "0.5"),
    case("one label", lambda: data.show(drawn(1), 3), A, "labels", "list", "3"),
    case("a number of classes", lambda: data.show(drawn(1), [1], 3), A, "classes", "list of names", "3"),
    case("unknown kind", lambda: data.show(drawn(1), path="a.foo"), mc.FileError, "a.foo", "'foo'", ".png"),
    case("no columns", lambda: data.show(drawn(), columns=0), A, "columns", ">= 1"),
    case("preview of one", lambda: transforms.preview(transforms.ToRGB(), drawn(1)[0], n=1), A, "preview", ">= 2"),
    case("nothing to call", lambda: transforms.preview("flip", drawn(1)[0]), A, "(image, rng)", "'flip'"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says):
    complaint(call, error, says)
