"""What tests of single cases share: one call on the device and in the plain room, compared number by number."""

from __future__ import annotations

import numpy as np
from device_arrays import run_on_device
from test_kernels_agree import call


def plain(name: str, args: tuple) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        return call(name, "plain", args)


def assert_as_plain(xp, name: str, args: tuple, rtol: float = 1e-10) -> list[np.ndarray]:
    """Number by number, so that small ones are held to the same digits as large ones."""
    results = run_on_device(xp, name, args)
    for got, want in zip(results, plain(name, args), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)
    return results
