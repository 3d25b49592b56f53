"""Dropout (Srivastava et al. 2014) whose random bits are a function of (seed, offset, position), by Philox4x32-10.

Plain computes all random numbers, then the mask, then the product. Here four numbers are made, used and forgotten: a
counter-based generator has no state to hand on, so any task can start anywhere (Salmon et al. 2011).
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import helper, kernel

# All constants are uint64: a product of two 32-bit numbers fits, and Numba makes float64 of uint64 mixed with int64.
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEP_0, KEY_STEP_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


@helper
def _philox(block, offset_low, offset_high, k0, k1):
    """Four 32-bit numbers, as uint64, for counter (block, offset) and key (k0, k1)."""
    c0, c1, c2, c3 = block & LOW, block >> HALF, offset_low, offset_high
    for _ in range(10):
        a, b = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + KEY_STEP_0) & LOW, (k1 + KEY_STEP_1) & LOW
    return c0, c1, c2, c3


def dropout(x, p, seed, offset):
    """x * 0 with probability p, else x / (1 - p). Element i of flat x uses number i % 4 of block i // 4."""
    y = np.empty_like(x)
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0.0)
    halves = (np.uint64(v >> shift & 0xFFFFFFFF) for v in (int(offset), int(seed)) for shift in (0, 32))
    _dropout(x, np.uint64(round(p * 2**32)), scale, *halves, y)
    return y


@kernel
def _dropout(x, threshold, scale, offset_low, offset_high, key_low, key_high, y):
    whole = len(x) // 4
    zero = x.dtype.type(0)
    for block in numba.prange(whole + 1):
        r0, r1, r2, r3 = _philox(np.uint64(block), offset_low, offset_high, key_low, key_high)
        i = block * 4
        if block < whole:
            y[i] = x[i] * (scale if r0 >= threshold else zero)
            y[i + 1] = x[i + 1] * (scale if r1 >= threshold else zero)
            y[i + 2] = x[i + 2] * (scale if r2 >= threshold else zero)
            y[i + 3] = x[i + 3] * (scale if r3 >= threshold else zero)
        else:  # one to three elements are left, or none
            for j, number in enumerate((r0, r1, r2, r3)):
                if i + j < len(x):
                    y[i + j] = x[i + j] * (scale if number >= threshold else zero)
