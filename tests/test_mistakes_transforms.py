"""Mistakes with transforms."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import case, complaint

import minicnn as mc
from minicnn.data import transforms

A, S, D, T = mc.ArgumentError, mc.ShapeError, mc.DataError, mc.DtypeError
PHOTO = np.random.default_rng(0).random((3, 20, 30), dtype=np.float32)
JITTER, RNG = transforms.ColorJitter(0.4), np.random.default_rng(0)


def on(transform, shape=(3, 20, 30), dtype=np.float32, rng=0):
    return lambda: transform(np.zeros(shape, dtype), np.random.default_rng(rng))


MISTAKES = [
    case("crop too large", on(transforms.RandomCrop(24)), S, "24 high and 24", "20 high and 30", "Resize(24)"),
    case("centre too wide", on(transforms.CenterCrop((8, 40))), S, "8 high and 40", "20 high and 30", "Resize(40)"),
    case("ten too large", on(transforms.TenCrop(21)), S, "ten_crops", "21 high", "20 high", "Resize(21)"),
    case("channels last", on(transforms.Resize(8), (20, 30, 3)), S, "(20, 30, 3)", "(H, W, C)", "transpose(2, 0, 1)"),
    case("channels last crop", on(transforms.PadCrop(1), (20, 30, 3)), S, "PadCrop", "(H, W, C)"),
    case("no channels", on(transforms.RandomFlip(), (20, 30)), S, "RandomFlip", "(20, 30)", "image[None]"),
    case("a batch", on(transforms.Normalize([0], [1]), (2, 3, 8, 8)), S, "(2, 3, 8, 8)", "one image", "TenCrop"),
    case("no pixels", on(transforms.Resize(8), (3, 0, 8)), S, "no pixels", "(3, 0, 8)"),
    case("a list", lambda: transforms.CenterCrop(2)([[1, 2]]), S, "CenterCrop", "got list", "np.asarray"),
    case("bytes", on(transforms.Resize(8), dtype=np.uint8), T, "uint8", "image.astype('float32') / 255"),
    case("whole numbers", on(transforms.Normalize([0] * 3, [1] * 3), dtype=int), T, "Normalize", "int64"),
    case("grey saturation", on(transforms.ColorJitter(saturation=0.4), (1, 8, 8)), S, "3 channels", "ToRGB"),
    case("four channels", on(transforms.Grayscale(), (4, 8, 8)), S, "1 or 3 channels", "(4, 8, 8)"),
    case("grey lighting", on(transforms.PCALighting(), (1, 8, 8)), S, "PCALighting", "3 channels", "ToRGB"),
    case("normalised", lambda: JITTER(PHOTO * 5 - 2, RNG), D, "0 to 1", "before Normalize"),
    case("0 to 255", lambda: JITTER(PHOTO * 255, RNG), D, "0 to 1", "divide", "255"),
    case("NaN pixels", lambda: JITTER(PHOTO * np.nan, RNG), D, "ColorJitter", "NaN"),
    case("NaN mean", lambda: transforms.Normalize([np.nan], [1]), A, "Normalize", "mean", "finite", "nan"),
    case("a word for std", lambda: transforms.Normalize([0], "digits"), A, "std", "finite numbers", "'digits'"),
    case("NaN value", lambda: transforms.PCALighting(1, [1, 2, np.nan], np.eye(3)), A, "eigenvalues", "finite", "nan"),
    case("no generator", lambda: transforms.RandomFlip()(PHOTO, None), A, "NoneType", "default_rng(0)"),
    case("seed for generator", lambda: JITTER(PHOTO, 0), A, "ColorJitter", "got int", "default_rng(0)"),
    case("flip 1.5", lambda: transforms.RandomFlip(1.5), A, "RandomFlip", "probability", "0 to 1", "1.5"),
    case("flip half", lambda: transforms.RandomFlip("half"), A, "probability", "'half'"),
    case("size 0", lambda: transforms.Resize(0), A, "Resize", ">= 1", "0"),
    case("size 2.5", lambda: transforms.CenterCrop(2.5), A, "CenterCrop", "whole number", "2.5"),
    case("three sizes", lambda: transforms.Resize((3, 20, 20)), A, "Resize", "pair", "(3, 20, 20)"),
    case("nearest", lambda: transforms.Resize(8, "nearest"), A, "bilinear or bicubic", "'nearest'"),
    case("side range", lambda: transforms.RandomShorterSide(480, 256), A, "480", "256", "empty", "swap"),
    case("scale range", lambda: transforms.RandomResizedCrop(8, (1, 0.08)), A, "scale", "empty range", "(1, 0.08)"),
    case("scale in percent", lambda: transforms.RandomResizedCrop(8, (8, 100)), A, "scale", "from 0 to 1", "8"),
    case("scale of 0", lambda: transforms.RandomResizedCrop(8, (0, 1)), A, "scale", "above 0"),
    case("one ratio", lambda: transforms.RandomResizedCrop(8, ratio=1), A, "ratio", "two numbers", "1"),
    case("hue in degrees", lambda: transforms.ColorJitter(hue=30), A, "hue", "0 to 0.5", "30"),
    case("negative brightness", lambda: transforms.ColorJitter(-0.4), A, "brightness", ">= 0", "-0.4"),
    case("contrast range", lambda: transforms.ColorJitter(contrast=(1.2, 0.8)), A, "contrast", "empty range"),
    case("grey of two", lambda: transforms.Grayscale(2), A, "1 or 3", "2"),
    case("values alone", lambda: transforms.PCALighting(0.1, [1, 2, 3]), A, "together", "pca_of"),
    case("vectors of two", lambda: transforms.PCALighting(0.1, [1, 2], np.eye(2)), S, "(3, 3)", "(2, 2)"),
    case("pca of grey", lambda: transforms.pca_of(np.zeros((5, 1, 8, 8))), S, "(N, 3, H, W)", "(5, 1, 8, 8)"),
    case("pca of a pixel", lambda: transforms.pca_of(np.zeros((1, 3, 1, 1))), D, "two pixels"),
    case("a class", lambda: transforms.Compose([transforms.Resize]), A, "class Resize", "Resize(...)"),
    case("no transform", lambda: transforms.Compose(["flip"]), A, "(image, rng)", "'flip'"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says):
    """The values at fault, both sizes, and what to do."""
    complaint(call, error, says)
