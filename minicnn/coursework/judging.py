"""How checks compare: what a submission returned with what it should have returned, and how the difference is told."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Wrong(Exception):  # noqa: N818 - "raise Wrong(...)" is what a check says
    """A submission's answer is wrong; the message says how, in words for its author."""


def as_numbers(value: object, what: str, shape: tuple | None = None) -> np.ndarray:
    """The value as an array of numbers; Wrong if it is none, or has another shape."""
    if value is None:
        raise Wrong(f"{what} is None; is a `return` missing?")
    try:
        array = np.asarray(value)
    except ValueError:
        raise Wrong(f"{what} is no array: its rows have different lengths") from None
    if array.dtype.kind not in "biuf":
        raise Wrong(f"{what} is {type(value).__name__} of {array.dtype}; an array of numbers is wanted")
    if shape is not None and array.shape != tuple(shape):
        raise Wrong(f"{what} has shape {array.shape}; it should have {tuple(shape)}")
    return array


def close(
    got: object, want: object, what: str, causes: Mapping[str, object] | None = None, rtol: float = 1e-6,
    atol: float = 1e-9,
) -> None:  # fmt: skip
    """Nothing if ``got`` equals ``want``, an array or a number; Wrong otherwise.

    Parameters
    ----------
    got, want : array_like
    what : str
        What it is, for the message: "dx", "the loss".
    causes : dict of str to array_like, optional
        What wrong ways of computing it give: where ``got`` is one of these, the message says so, by its key.
    rtol, atol : float
        An element is right if |got - want| <= atol + rtol * |want|.
    """
    want = np.asarray(want)
    wrong = None
    try:
        array = as_numbers(got, what, want.shape)
    except Wrong as error:
        wrong, array = error, np.asarray(got) if isinstance(got, (np.ndarray, np.generic, float, int)) else None
    if wrong is None and _equal(array, want, rtol, atol):
        return
    for cause, value in (causes or {}).items():
        if array is not None and array.dtype.kind in "biuf" and _equal(array, np.asarray(value), rtol, atol):
            raise Wrong(f"{what} is wrong: {cause}")
    raise wrong or Wrong(_first_difference(array, want, what, rtol, atol))


def _equal(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> bool:
    return got.shape == want.shape and bool(_right(got, want, rtol, atol).all())


def _right(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    got, want = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= atol + rtol * np.abs(want)
    return near | (got == want) | (np.isnan(got) & np.isnan(want))


def _first_difference(got: np.ndarray, want: np.ndarray, what: str, rtol: float, atol: float) -> str:
    wrong = ~_right(got, want, rtol, atol)
    if not want.ndim:
        return f"{what} is {float(got):.6g}; it should be {float(want):.6g}"
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{what} is wrong in {int(wrong.sum())} of {wrong.size} numbers, the first at index {first}: "
        f"it is {float(got[first]):.6g}, it should be {float(want[first]):.6g}"
    )
