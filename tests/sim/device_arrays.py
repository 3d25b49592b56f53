"""What the tests of the cuda room share: NumPy arguments moved to a device, in the memory layout that they have."""

from __future__ import annotations

import numpy as np

from minicnn.kernels import KERNELS
from minicnn.kernels.layout import UPDATED


def on_device(xp, a: np.ndarray):
    """The array on the device: contiguous, channels-last or with gaps, as it was."""
    if a.flags.c_contiguous:
        return xp.asarray(a)
    if a.ndim == 4 and a.transpose(0, 2, 3, 1).flags.c_contiguous:
        return xp.asarray(np.ascontiguousarray(a.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    wide = xp.zeros((*a.shape[:-1], 2 * a.shape[-1] + 1), a.dtype)
    wide[..., 1::2] = xp.asarray(np.ascontiguousarray(a))
    return wide[..., 1::2]


def moved(xp, args: tuple) -> list:
    return [on_device(xp, a) if isinstance(a, np.ndarray) else a for a in args]


def run_on_device(xp, name: str, args: tuple) -> list[np.ndarray]:
    """One call as a user makes it: results, then UPDATED arguments; all other arguments must be as they were."""
    kernel = KERNELS[name]
    used = moved(xp, args)
    results = kernel(*used)
    results = results if isinstance(results, tuple) else () if results is None else (results,)
    out = [r.get() for r in results]
    for argument, original, role in zip(used, args, kernel.roles, strict=False):
        if role == UPDATED and argument is not None:
            out.append(argument.get())
        elif argument is not None:
            np.testing.assert_array_equal(argument.get(), original, err_msg=f"{name} changed an argument")
    return out
