"""Checks of exercise 13: im2col and a tiled max pooling in CUDA, launched in the simulator."""

from __future__ import annotations

import re

import numpy as np

from minicnn.coursework import Exercise, Student, SubmissionError, Wrong, close

EXERCISE = Exercise(
    title="Two CUDA kernels, without a GPU",
    asks=("IM2COL", "MAX_POOL"),
    variants={
        "circular": "im2col's padding goes on at the other side; of equal values the first one wins",
        "last": "im2col's padding is 0; of equal values the last one wins",
        "plain": "im2col's padding is 0; of equal values the first one wins",
    },
    simulator=True,
)


def columns_of(x: np.ndarray, k: int, stride: int, pad: int, circular: bool) -> np.ndarray:
    """The definition: (N * OH * OW, C * K * K)."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="wrap" if circular else "constant")
    views = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[
        :, :, ::stride, ::stride
    ]  # (N, C, OH, OW, K, K)
    return views.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * k * k)


def im2col(
    student: Student, variant: str, x: np.ndarray, k: int, stride: int, pad: int, block: int, likely: str = "",
) -> None:  # fmt: skip
    """Launch the submission's im2col with as few blocks as will do, and compare."""
    n, c, h, w = x.shape
    oh, ow = ((size + 2 * pad - k) // stride + 1 for size in (h, w))
    want = columns_of(x, k, stride, pad, variant == "circular")
    args = [x, np.full(want.shape, np.nan, np.float32), n, c, h, w, k, stride, pad, oh, ow]
    grid = -(-n * oh * ow * c // block)
    try:
        got = student.launch(student.value("IM2COL"), "im2col", grid, block, args)[1]
    except SubmissionError as error:
        raise Wrong(f"{error}\n{likely}".rstrip()) from None
    by_window = want.reshape(len(want), c, k, k)
    causes = {
        "nothing was written; the array still holds what it was filled with": args[1],
        "rows and columns of the window are swapped": by_window.swapaxes(2, 3).reshape(want.shape),
        "the order is window, channel; it should be channel, window": by_window.transpose(0, 2, 3, 1).reshape(
            want.shape
        ),
    }
    if variant == "circular":
        causes["the padding is zeros; in this variant it goes on at the other side"] = columns_of(
            x, k, stride, pad, False
        )
    close(got, want, f"columns of x {x.shape}, k = {k}, stride {stride}, pad {pad}", causes, 0, 0)


def picture(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """No two values are equal, and all are negative."""
    return -(1 + rng.permutation(int(np.prod(shape))).reshape(shape)).astype(np.float32)


@EXERCISE.check(
    points=2, category="im2col without padding",
    hint="Take the thread's number apart into image, row, column and channel; then copy K x K numbers.",
)  # fmt: skip
def im2col_values(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Two images of 3 channels and 5 x 7 pixels, 3x3 windows, exactly as many threads as are needed."""
    im2col(student, variant, picture(rng, 2, 3, 5, 7), 3, 1, 0, 30)


@EXERCISE.check(
    points=2, category="the padding of im2col",
    hint="Rows 0 to h - 1 and columns 0 to w - 1 are inside. What does the task say of the others?",
)  # fmt: skip
def im2col_padding(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Padding 1 and 2, strides 1 and 2, exactly as many threads as are needed."""
    likely = "Is a pixel beyond the image taken for one inside (`ih > h` for `ih >= h` goes one too far)?"
    if variant == "circular":
        likely = "Is the row or column negative? In C, -1 % 5 is -1."
    im2col(student, variant, picture(rng, 1, 2, 4, 6), 3, 1, 1, 48, likely)
    im2col(student, variant, picture(rng, 2, 2, 5, 7), 3, 2, 2, 20, likely)


@EXERCISE.check(
    points=1, category="more threads than work",
    hint="The last block is seldom full: threads whose number is too large return at once (the guard).",
)  # fmt: skip
def im2col_guard(student: Student, variant: str, rng: np.random.Generator) -> None:
    """90 numbers for two blocks of 64 threads."""
    likely = "There are more threads than work: is there a guard?"
    im2col(student, variant, picture(rng, 2, 3, 5, 7), 3, 1, 0, 64, likely)


def pooled(x: np.ndarray, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """y and index by the definition, with windows that may stick out at the bottom and on the right."""
    oh, ow = (-(-(size - 3) // 2) + 1 for size in x.shape[2:])
    padded = np.full((*x.shape[:2], 2 * oh + 1, 2 * ow + 1), -np.inf, np.float32)
    padded[:, :, : x.shape[2], : x.shape[3]] = x
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2].reshape(
        *x.shape[:2], oh, ow, 9
    )
    index = 8 - views[..., ::-1].argmax(-1) if last else views.argmax(-1)
    return views.max(-1), index.astype(np.int32)


def max_pool(student: Student, variant: str, x: np.ndarray, likely: str = "", order: str = "forward") -> None:
    """Launch the submission's max_pool, and compare y and index."""
    last = variant == "last"
    (y, index), (n, c, h, w) = pooled(x, last), x.shape
    args = [x, np.full(y.shape, np.nan, np.float32), np.full(y.shape, -1, np.int32), c, h, w, *y.shape[2:]]
    grid = (-(-y.shape[3] // 8), -(-y.shape[2] // 8), n)
    try:
        got = student.launch(student.value("MAX_POOL"), "max_pool", grid, (8, 8), args, order=order)
    except SubmissionError as error:
        raise Wrong(f"{error}\n{likely}".rstrip()) from None
    everywhere = np.full((*x.shape[:2], h + 18, w + 18), -np.inf, np.float32)
    everywhere[:, :, :h, :w] = x
    close(got[1], y, f"y for x {x.shape}", {
        "nothing was written; the array still holds what it was filled with": args[1],
        "the maximum starts from 0, so that negative values never win": np.maximum(y, 0),
        "the stride was dropped: window i begins at pixel i of its tile, not 2 i": _without_stride(everywhere, y.shape),
    }, 0, 0)  # fmt: skip
    close(got[2], index, f"index for x {x.shape}", {
        f"of equal values the {'first' if last else 'last'} one wins": pooled(x, not last)[1],
    }, 0, 0)  # fmt: skip


def _without_stride(x: np.ndarray, shape: tuple) -> np.ndarray:
    """What comes of windows that begin at pixel i of their tile of 16 pixels."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3)).max((4, 5))
    rows, columns = (16 * (np.arange(n) // 8) + np.arange(n) % 8 for n in shape[2:])
    return windows[:, :, rows[:, None], columns]


@EXERCISE.check(
    points=2, category="pooling one tile",
    hint="8 windows of 3 pixels with stride 2 see 17 x 17 pixels, which 64 threads copy together; then a barrier.",
)  # fmt: skip
def pool_one_tile(student: Student, variant: str, rng: np.random.Generator) -> None:
    """One channel of 17 x 17 pixels, positive and negative: exactly one tile of 8 x 8."""
    likely = "Does every thread wait (__syncthreads) until the whole tile is written?"
    max_pool(student, variant, picture(rng, 1, 1, 17, 17) + 260, likely)


@EXERCISE.check(
    points=2, category="tiles that are not full, and windows that stick out",
    hint="Threads outside the output help to load, wait at the barriers, and write nothing. Pixels outside never win.",
)  # fmt: skip
def pool_many_tiles(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Two images of 20 x 25 pixels, all negative: four tiles each, of which three are not full."""
    likely = "Tiles at the edge are not full: is there a guard where y is written? Do all threads reach every barrier?"
    max_pool(student, variant, picture(rng, 2, 1, 20, 25), likely)


@EXERCISE.check(
    points=2, category="one channel after the other",
    hint="The next channel is written into the same tile: not before all threads have read what they need of this one.",
)  # fmt: skip
def pool_channels(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Three channels of 17 x 17 pixels, with threads that start in either order."""
    likely = "Is there a second barrier, after reading, before the next channel is written into the tile?"
    for order in ("forward", "backward"):
        max_pool(student, variant, picture(rng, 1, 3, 17, 17) + 900, likely, order)


@EXERCISE.check(
    points=1, category="equal values in one window",
    hint="`>` keeps the first of equal values, `>=` the last.",
)  # fmt: skip
def pool_ties(student: Student, variant: str, rng: np.random.Generator) -> None:
    """One channel of 17 x 17 pixels with only two values, 1 and 2."""
    max_pool(student, variant, rng.integers(1, 3, (1, 1, 17, 17)).astype(np.float32))


@EXERCISE.check(
    points=1, category="where the window is read",
    hint="Declare __shared__ float tile[...][...], fill it together, wait, and read the windows from it.",
)  # fmt: skip
def pool_shared(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The text of MAX_POOL has a __shared__ tile and a barrier (comments do not count)."""
    text = student.value("MAX_POOL")
    if not isinstance(text, str):
        raise Wrong(f"MAX_POOL should be a string, it is a {type(text).__name__}")
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    for word in ("__shared__", "__syncthreads"):
        if not re.search(rf"\b{word}\b", code):
            raise Wrong(f"MAX_POOL has no {word}: windows that overlap are read again and again from global memory")
