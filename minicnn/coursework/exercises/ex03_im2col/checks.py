"""Checks of exercise 3: im2col, col2im, and the convolution that is made of them."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, close

EXERCISE = Exercise(
    title="im2col",
    asks=("im2col", "col2im", "conv"),
    variants={
        "circular": "padding is circular, each patch is a row in the order channel, row, column",
        "columns": "padding is zeros, each patch is a column in the order channel, row, column",
        "rows": "padding is zeros, each patch is a row in the order row, column, channel, as in minicnn",
    },
    forbidden=("im2col", "col2im", "conv2d", "conv2d_input_grad", "conv2d_weight_grad"),
)
#: the axes of patches (N, C, OH, OW, KH, KW) as they stand in the matrix, and how many of them make its rows
LAYOUTS = {"circular": ((0, 2, 3, 1, 4, 5), 3), "columns": ((1, 4, 5, 0, 2, 3), 3), "rows": ((0, 2, 3, 4, 5, 1), 3)}
ONE, NONE = (1, 1), (0, 0)


def patches(x: np.ndarray, kernel: tuple, stride: tuple, padding: tuple, variant: str) -> np.ndarray:
    """What each window sees: (N, C, OH, OW, KH, KW)."""
    around = ((0, 0), (0, 0), *((p, p) for p in padding))
    x = np.pad(x, around, mode="wrap" if variant == "circular" else "constant")
    return np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))[:, :, :: stride[0], :: stride[1]]


def matrix(seen: np.ndarray, variant: str) -> np.ndarray:
    """Patches (N, C, OH, OW, KH, KW), laid out."""
    axes, rows = LAYOUTS[variant]
    seen = seen.transpose(axes)
    return seen.reshape(int(np.prod(seen.shape[:rows])), -1)


def im2col(x, kernel, stride, padding, variant):
    return matrix(patches(x, kernel, stride, padding, variant), variant)


def pixels(shape, kernel, stride, padding, variant) -> np.ndarray:
    """Of which pixel each entry of the matrix is a copy, counted from 1; 0 for padding that is no pixel."""
    return im2col(np.arange(1, np.prod(shape) + 1).reshape(shape), kernel, stride, padding, variant)


def col2im(entries, shape, kernel, stride, padding, variant):
    """By the definition: every entry is added to the pixel that it is a copy of."""
    which = pixels(shape, kernel, stride, padding, variant)
    return np.bincount(which.ravel(), entries.ravel(), int(np.prod(shape)) + 1)[1:].reshape(shape)


@EXERCISE.check(
    points=2, category="what a window sees",
    hint="Window (i, j) begins at pixel (i, j), and reads row by row from there: it is not mirrored.",
)  # fmt: skip
def one_image(student: Student, variant: str, rng: np.random.Generator) -> None:
    """im2col of one image of one channel, windows of 2 x 2, stride 1, no padding."""
    x = rng.standard_normal((1, 1, 4, 5))
    seen = patches(x, (2, 2), ONE, NONE, variant)
    want = matrix(seen, variant)
    patch = "columns" if variant == "columns" else "rows"
    close(student.call("im2col", x, (2, 2), ONE, NONE), want, "the matrix", {
        f"it is transposed; in this variant the patches are its {patch}": want.T,
        "the windows are mirrored; a window is read from its first row and column": matrix(
            seen[..., ::-1, ::-1], variant),
        "rows and columns of the window are exchanged": matrix(seen.swapaxes(4, 5), variant),
        "windows are counted down the columns; j runs fastest, not i": matrix(seen.swapaxes(2, 3), variant),
        "it was reshaped where it had to be transposed: the numbers of a patch are not side by side": matrix(
            seen.transpose(0, 1, 4, 5, 2, 3).reshape(seen.shape), variant),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="the order of rows and columns",
    hint="First bring the six axes n, i, j, c, p, q into the order of the task (transpose), then reshape to two.",
)  # fmt: skip
def order(student: Student, variant: str, rng: np.random.Generator) -> None:
    """im2col of two images of three channels, windows of 3 x 2."""
    x, kernel = rng.standard_normal((2, 3, 5, 6)), (3, 2)
    seen = patches(x, kernel, ONE, NONE, variant)
    axes, rows = LAYOUTS[variant]

    def laid_out(*order):
        return seen.transpose(order).reshape(int(np.prod([seen.shape[k] for k in order[:rows]])), -1)

    causes = {"KH and KW are swapped": im2col(x, kernel[::-1], ONE, NONE, variant)}
    if variant == "columns":
        causes["the channels run fastest down a column; the order is c, p, q"] = laid_out(4, 5, 1, 0, 2, 3)
        causes["the images run fastest along a row; the order is n, i, j"] = laid_out(1, 4, 5, 2, 3, 0)
    else:
        other = (0, 2, 3, 4, 5, 1) if variant == "circular" else (0, 2, 3, 1, 4, 5)
        fastest = "c, p, q: the channels do not" if variant == "circular" else "p, q, c: the channels"
        causes[f"the numbers of a patch are in the wrong order; it is {fastest} run fastest"] = laid_out(*other)
        causes["the images run fastest down a column; the order is n, i, j"] = laid_out(2, 3, 0, *axes[3:])
    close(student.call("im2col", x, kernel, ONE, NONE), matrix(seen, variant), "the matrix", causes)


@EXERCISE.check(
    points=2, category="strides",
    hint="The next window begins SH rows further down, or SW columns to the right: a slice with a step.",
)  # fmt: skip
def strides(student: Student, variant: str, rng: np.random.Generator) -> None:
    """im2col with strides 2 and 3 on images of 7 x 9, windows of 2 x 2."""
    x, stride = rng.standard_normal((2, 1, 7, 9)), (2, 3)
    close(student.call("im2col", x, (2, 2), stride, NONE), im2col(x, (2, 2), stride, NONE, variant), "the matrix", {
        "the stride was dropped: there is a window at every pixel": im2col(x, (2, 2), ONE, NONE, variant),
        "SH and SW are swapped": im2col(x, (2, 2), stride[::-1], NONE, variant),
        "the stride was dropped: the windows lie side by side": im2col(x, (2, 2), (2, 2), NONE, variant),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="padding", hint="PH rows go above and below, PW columns left and right; the task says of what."
)
def padding(student: Student, variant: str, rng: np.random.Generator) -> None:
    """im2col with padding of 2 rows and 1 column, windows of 3 x 3."""
    x, around, kernel = rng.standard_normal((2, 1, 4, 6)), (2, 1), (3, 3)
    circular = variant == "circular"

    def padded(pad, mode):
        return im2col(np.pad(x, ((0, 0), (0, 0), *pad), mode=mode), kernel, ONE, NONE, variant)

    both, mode = [(2, 2), (1, 1)], "wrap" if circular else "constant"
    causes = {"PH and PW are swapped": padded(both[::-1], mode), "there is no padding": padded([(0, 0)] * 2, mode)}
    if circular:
        causes["the padding is zeros; in this variant it is circular"] = padded(both, "constant")
        causes["the padding mirrors the image (reflect); circular means it goes on at the other side"] = padded(
            both, "reflect")  # fmt: skip
        causes["the padding mirrors the image (symmetric); circular means it goes on at the other side"] = padded(
            both, "symmetric")  # fmt: skip
    else:
        causes["the padding is circular; in this variant it is zeros"] = padded(both, "wrap")
    causes["the padding repeats the edge"] = padded(both, "edge")
    causes["the padding is at the end only (bottom and right); half of it belongs before the image"] = padded(
        [(0, 4), (0, 2)], mode)  # fmt: skip
    close(student.call("im2col", x, kernel, ONE, around), im2col(x, kernel, ONE, around, variant), "the matrix", causes)


@EXERCISE.check(
    points=2, category="the way back where windows overlap",
    hint="A pixel that was copied several times gets the sum of its copies' gradients: += for each place.",
)  # fmt: skip
def back(student: Student, variant: str, rng: np.random.Generator) -> None:
    """col2im with windows of 3 x 3 at every pixel, no padding."""
    shape, kernel = (2, 2, 5, 6), (3, 3)
    which = pixels(shape, kernel, ONE, NONE, variant)
    entries = rng.standard_normal(which.shape)
    want = col2im(entries, shape, kernel, ONE, NONE, variant)
    last = np.zeros(want.size)
    places = np.moveaxis(patches(np.arange(want.size).reshape(shape), kernel, ONE, NONE, variant), (4, 5), (0, 1))
    axes, _ = LAYOUTS[variant]  # the entries in the form of patches, one place of the window after the other
    n, c, oh, ow = places.shape[2:]
    sizes = [(n, c, oh, ow, *kernel)[k] for k in axes]
    values = np.moveaxis(entries.reshape(sizes).transpose(np.argsort(axes)), (4, 5), (0, 1))
    for at in np.ndindex(*kernel):
        last[places[at]] = values[at]
    close(student.call("col2im", entries, shape, kernel, ONE, NONE), want, "what col2im returned", {
        "a pixel that was copied several times is overwritten instead of added to (= for +=)": last.reshape(shape),
        "the mean over the copies was taken; it is their sum": want / np.bincount(which.ravel())[1:].reshape(shape),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="the way back with padding",
    hint="Sum into padded images first; then deal with the padding, so that (N, C, H, W) is left. See the task.",
)  # fmt: skip
def back_padding(student: Student, variant: str, rng: np.random.Generator) -> None:
    """col2im with padding of 2 rows and 4 columns; strides of 4, so that no two windows overlap."""
    shape, kernel, stride, around = (2, 2, 6, 10), (2, 2), (4, 4), (2, 4)
    entries = rng.standard_normal(pixels(shape, kernel, stride, around, variant).shape)
    want = col2im(entries, shape, kernel, stride, around, variant)
    larger = (2, 2, 10, 18)
    whole = col2im(entries, larger, kernel, stride, NONE, variant)  # the padded images
    causes = {
        "the padding was not cropped: it has the size of the padded images": whole,
        "cropped at the wrong place: the first H rows and W columns were taken": whole[:, :, :6, :10],
        "the padding was ignored: the first window begins at the first pixel": col2im(
            entries[tuple(slice(n) for n in pixels(shape, kernel, stride, NONE, variant).shape)],
            shape, kernel, stride, NONE, variant),
    }  # fmt: skip
    if variant == "circular":
        cropped = "the padding was cropped and its gradients are lost; in a torus they belong to the other side"
        causes[cropped] = whole[:, :, 2:8, 4:14]
    close(student.call("col2im", entries, shape, kernel, stride, around), want, "what col2im returned", causes)


@EXERCISE.check(
    points=2, category="the convolution",
    hint="The kernels become a matrix with K rows or columns, in the order of the patches. The product has an axis of "
    "K and one of N OH OW: reshape, then transpose to (N, K, OH, OW).",
)  # fmt: skip
def convolution(student: Student, variant: str, rng: np.random.Generator) -> None:
    """conv of two images of three channels with four kernels of 2 x 2."""
    x, w, b = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((4, 3, 2, 2)), rng.standard_normal(4)
    y = np.einsum("ncijpq,kcpq->nkij", patches(x, (2, 2), ONE, NONE, variant), w)
    flipped = np.einsum("ncijpq,kcpq->nkij", patches(x, (2, 2), ONE, NONE, variant), w[..., ::-1, ::-1])
    bias = b[:, None, None]
    want = y + bias
    close(student.call("conv", x, w, b, ONE, NONE), want, "the output", {
        "the bias was not added": y,
        "the product was reshaped to (N, K, OH, OW) without a transpose: channels and pixels are mixed up":
            want.transpose(0, 2, 3, 1).reshape(want.shape),
        "the product was reshaped to (N, K, OH, OW) without a transpose: images and channels are mixed up":
            want.transpose(1, 0, 2, 3).reshape(want.shape),
        "the kernel is flipped; the task's formula does not flip it": flipped + bias,
        "the axes are in the wrong order: the channels are last; it is (N, K, OH, OW)": want.transpose(0, 2, 3, 1),
        "the axes are in the wrong order: the channels are first; it is (N, K, OH, OW)": want.transpose(1, 0, 2, 3),
    })  # fmt: skip


@EXERCISE.check(
    points=1, category="the convolution with strides and padding",
    hint="Hand stride and padding on to im2col, and compute OH and OW with them.",
)  # fmt: skip
def convolution_strides(student: Student, variant: str, rng: np.random.Generator) -> None:
    """conv with strides 2 and 3, padding of 2 rows and 1 column."""
    x, w, b = rng.standard_normal((2, 1, 5, 8)), rng.standard_normal((3, 1, 2, 2)), rng.standard_normal(3)

    def conv(stride, around):
        seen = patches(x, (2, 2), stride, around, variant)
        return np.einsum("ncijpq,kcpq->nkij", seen, w) + b[:, None, None]

    close(student.call("conv", x, w, b, (2, 3), (2, 1)), conv((2, 3), (2, 1)), "the output", {
        "the stride was dropped": conv(ONE, (2, 1)),
        "there is no padding": conv((2, 3), NONE),
        "SH and SW are swapped": conv((3, 2), (2, 1)),
        "PH and PW are swapped": conv((2, 3), (1, 2)),
    })  # fmt: skip
