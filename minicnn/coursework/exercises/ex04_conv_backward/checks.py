"""Checks of exercise 4: the backward pass of convolution."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, close

EXERCISE = Exercise(
    title="The backward pass of convolution",
    asks=("conv_backward",),
    variants={
        "dilated": "the kernel's dilation is 2",
        "circular": "padding is circular: the image is a torus",
        "flipped": "the kernel is flipped, as in a convolution of mathematics",
        "plain": "padding is zeros, no dilation, no flip, as in minicnn's default",
    },
    forbidden=("conv2d", "conv2d_input_grad", "conv2d_weight_grad", "im2col", "col2im"),
)
ONE, NONE = (1, 1), (0, 0)


def patches(x: np.ndarray, kernel: tuple, stride: tuple, padding: tuple, variant: str) -> np.ndarray:
    """What each window sees, in the order of the kernel's numbers: (N, C, OH, OW, KH, KW)."""
    d = 2 if variant == "dilated" else 1
    around = ((0, 0), (0, 0), *((p, p) for p in padding))
    x = np.pad(x, around, mode="wrap" if variant == "circular" else "constant")
    seen = np.lib.stride_tricks.sliding_window_view(x, [d * (k - 1) + 1 for k in kernel], (2, 3))
    seen = seen[:, :, :: stride[0], :: stride[1], ::d, ::d]
    return seen[..., ::-1, ::-1] if variant == "flipped" else seen


def outputs(x, w, b, stride, padding, variant):
    """The forward pass, by the definition: y (N, K, OH, OW)."""
    return np.einsum("ncijpq,kcpq->nkij", patches(x, w.shape[2:], stride, padding, variant), w) + b[:, None, None]


def gradient_of_w(dout, x, kernel, stride, padding, variant):
    """Every output is a sum of weights times pixels: dw (K, C, KH, KW). Windows beyond those of dout are left out."""
    seen = patches(x, kernel, stride, padding, variant)[:, :, : dout.shape[2], : dout.shape[3]]
    return np.einsum("nkij,ncijpq->kcpq", dout, seen)


def gradient_of_x(dout, shape, w, stride, padding, variant, add=True):
    """By the definition: each term of each output is added to the pixel that is read there; dx (N, C, H, W)."""
    pixels = np.arange(1, np.prod(shape) + 1).reshape(shape)  # from 1; 0 is padding
    which = patches(pixels, w.shape[2:], stride, padding, variant)[:, :, : dout.shape[2], : dout.shape[3]]
    terms = np.einsum("nkij,kcpq->ncijpq", dout, w)
    dx = np.zeros(pixels.size + 1)
    for p, q in np.ndindex(*w.shape[2:]):
        if add:
            np.add.at(dx, which[..., p, q], terms[..., p, q])
        else:
            dx[which[..., p, q]] = terms[..., p, q]
    return dx[1:].reshape(shape)


def numbers(rng: np.random.Generator, shape: tuple, w_shape: tuple, stride: tuple, padding: tuple, variant: str):
    """x, w and dout of shapes that fit together."""
    x, w = rng.standard_normal(shape), rng.standard_normal(w_shape)
    y = outputs(x, w, np.zeros(len(w)), stride, padding, variant)
    return x, w, rng.standard_normal(y.shape)


def symmetric(w: np.ndarray) -> np.ndarray:
    """Square kernels that look the same flipped and transposed: a check of something else does not see these."""
    w = w + w[..., ::-1, ::-1]
    return w + w.swapaxes(2, 3)


def gradients(student: Student, dout, x, w, stride, padding) -> list:
    """What the submission returned: dx, dw, db."""
    found = student.call("conv_backward", dout, x, w, stride, padding)
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        raise Wrong("conv_backward should return three gradients: dx, dw, db")
    return list(found)


@EXERCISE.check(points=1, category="the gradient of the biases", hint="b[k] is added to every output of channel k.")
def biases(student: Student, variant: str, rng: np.random.Generator) -> None:
    """db of two images, three output channels, stride 1, no padding."""
    x, w, dout = numbers(rng, (2, 1, 5, 6), (3, 1, 2, 2), ONE, NONE, variant)
    want = dout.sum((0, 2, 3))
    close(gradients(student, dout, x, w, ONE, NONE)[2], want, "db", {
        "the mean was taken in place of the sum": dout.mean((0, 2, 3)),
        "it is divided by N; whether there is a mean over the batch, the loss decides, and dout knows": want / 2,
        "it was summed over the images only, not over the pixels": dout.sum(0),
        "it was summed over the pixels only, not over the images": dout.sum((2, 3)),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="the gradient of the kernels",
    hint="w[k, c, p, q] meets, in each output (n, i, j) of channel k, one pixel: sum dout * pixel over n, i, j.",
)  # fmt: skip
def kernels(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dw of kernels of 3 x 2, two images of two channels, stride 1, no padding."""
    x, w, dout = numbers(rng, (2, 2, 7, 6), (3, 2, 3, 2), ONE, NONE, variant)
    want = gradient_of_w(dout, x, (3, 2), ONE, NONE, variant)
    causes = {
        "it is flipped: the places of the kernel are counted from the wrong end": want[..., ::-1, ::-1],
        "it is divided by N; whether there is a mean over the batch, the loss decides, and dout knows": want / 2,
        "only the last image counts (= for +=, or no sum over n)": gradient_of_w(
            dout[1:], x[1:], (3, 2), ONE, NONE, variant),
        "only the first image counts": gradient_of_w(dout[:1], x[:1], (3, 2), ONE, NONE, variant),
    }  # fmt: skip
    if variant == "dilated":
        causes["the dilation was dropped: the kernel's neighbours look at pixels that lie 2 apart"] = gradient_of_w(
            dout, x, (3, 2), ONE, NONE, "plain")  # fmt: skip
    close(gradients(student, dout, x, w, ONE, NONE)[1], want, "dw", causes)


@EXERCISE.check(
    points=3, category="the gradient of the images",
    hint="Where the forward pass reads a pixel and multiplies it by w[k, c, p, q], add dout times that weight to it.",
)  # fmt: skip
def images(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx of two images of two channels, kernels of 3 x 3, stride 1, no padding."""
    x, w, dout = numbers(rng, (2, 2, 7, 6), (3, 2, 3, 3), ONE, NONE, variant)

    def dx(kernel, variant, add=True):
        return gradient_of_x(dout, x.shape, kernel, ONE, NONE, variant, add)

    causes = {
        "the kernel is flipped where it should not be, or not flipped where it should be: as a correlation with padded "
        "dout, dx takes the kernel the other way round than y does": dx(w[..., ::-1, ::-1], variant),
        "rows and columns of the kernel are exchanged": dx(w.swapaxes(2, 3), variant),
        "a pixel that is read several times is overwritten instead of added to (= for +=)": dx(w, variant, False),
    }  # fmt: skip
    if variant == "dilated":
        causes["the dilation was dropped: the kernel's neighbours look at pixels that lie 2 apart"] = dx(w, "plain")
    close(gradients(student, dout, x, w, ONE, NONE)[0], dx(w, variant), "dx", causes)


@EXERCISE.check(
    points=2, category="strides",
    hint="Output (i, j) looks at rows from i SH and columns from j SW. Pixels that no window sees have gradient 0.",
)  # fmt: skip
def strides(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dw and dx with strides 3 and 4: windows of 2 x 2, no pixel is in two of them, some are in none."""
    stride = (3, 4)
    x, w, dout = numbers(rng, (2, 2, 9, 13), (3, 2, 2, 2), stride, NONE, variant)
    w = symmetric(w)
    dx, dw, _ = gradients(student, dout, x, w, stride, NONE)
    close(dw, gradient_of_w(dout, x, (2, 2), stride, NONE, variant), "dw", {
        "the stride was dropped: neighbouring outputs look at neighbouring pixels":
            gradient_of_w(dout, x, (2, 2), ONE, NONE, variant),
    })  # fmt: skip
    close(dx, gradient_of_x(dout, x.shape, w, stride, NONE, variant), "dx", {
        "the stride was dropped: neighbouring outputs look at neighbouring pixels":
            gradient_of_x(dout, x.shape, w, ONE, NONE, variant),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="padding",
    hint="Row r of the image is row r + PH of the padded one. dw meets what stands in the padding; dx has x's shape.",
)  # fmt: skip
def padding(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dw and dx with padding of 2 rows and 1 column, kernels of 3 x 3, stride 1."""
    around, kernel = (2, 1), (3, 3)
    x, w, dout = numbers(rng, (2, 2, 5, 6), (3, 2, *kernel), ONE, around, variant)
    w, larger = symmetric(w), (2, 2, 9, 8)
    dx, dw, _ = gradients(student, dout, x, w, ONE, around)
    close(dw, gradient_of_w(dout, x, kernel, ONE, around, variant), "dw", {
        "the padding is zeros; in this variant it is circular": gradient_of_w(dout, x, kernel, ONE, around, "plain"),
    } if variant == "circular" else {})  # fmt: skip
    whole = gradient_of_x(dout, larger, w, ONE, NONE, variant)  # of the padded images
    causes = {
        "the padding was not cropped: it has the size of the padded images": whole,
        "cropped at the wrong place: the first H rows and W columns were taken": whole[:, :, :5, :6],
        "cropped at the wrong place: the last H rows and W columns were taken": whole[:, :, 4:, 2:],
    }
    if variant == "circular":
        lost = "the padding was cropped and its gradients are lost; in a torus they belong to the other side"
        causes[lost] = whole[:, :, 2:7, 1:7]
    close(dx, gradient_of_x(dout, x.shape, w, ONE, around, variant), "dx", causes)


@EXERCISE.check(
    points=2, category="everything together against finite differences",
    hint="If all else is right, look at what is new here: KH and KW, SH and SW, PH and PW differ at once.",
)  # fmt: skip
def gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """gradcheck of dx, dw and db: kernels of 3 x 2, strides 2 and 1, padding of 1 row and 2 columns."""
    stride, around = (2, 1), (1, 2)

    def forward(x, w, b):
        return outputs(x, w, b, stride, around, variant), (x, w)

    def backward(dout, cache):
        return gradients(student, dout, *cache, stride, around)

    student.gradcheck(forward, backward, [rng.standard_normal(s) for s in ((2, 2, 5, 4), (3, 2, 3, 2), (3,))])
