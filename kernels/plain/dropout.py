"""Dropout (Srivastava et al. 2014) whose random bits are a function of (seed, offset, position): no state, no mask.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"): ten rounds of two
32-bit multiplications turn the counter (block, offset) under the key ``seed`` into four 32-bit numbers. Element i uses
number i % 4 of block i // 4. The backward is the same call on the gradient.

Elements of 4-d arrays are counted channels-last, as the fast rooms have them in memory: there four neighbours share one
block, so that each block is computed once. All rooms count alike, or the same seed would drop other elements.
"""

from __future__ import annotations

import numpy as np

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox(count, seed, offset):
    """The first ``count`` 32-bit numbers of the stream (seed, offset), as uint64.

    >>> [hex(int(v)) for v in philox(4, 0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    block = np.arange(-(-count // 4), dtype=np.uint64)
    c0, c1 = block & LOW, block >> HALF
    c2, c3 = (np.full_like(block, part) for part in (offset & 0xFFFFFFFF, offset >> 32 & 0xFFFFFFFF))
    k0, k1 = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32 & 0xFFFFFFFF)
    for _ in range(10):
        a, b = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2  # 64-bit products of 32-bit numbers
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
    return np.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:count]


def dropout(x, p, seed, offset):
    """x * 0 with probability p, else x / (1 - p).

    >>> dropout(np.ones(6), 0.5, 1, 2).tolist()
    [2.0, 2.0, 0.0, 0.0, 2.0, 2.0]
    """
    kept = philox(x.size, seed, offset) >= np.uint64(round(p * 2**32))
    factor = (kept * (1 / (1 - p) if p < 1 else 0.0)).astype(x.dtype)
    if x.ndim == 4:
        n, c, h, w = x.shape
        return x * factor.reshape(n, h, w, c).transpose(0, 3, 1, 2)
    return x * factor.reshape(x.shape)
