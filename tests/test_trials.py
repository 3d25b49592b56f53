"""What ``minicnn kernels check`` holds a kernel against its definition on are calls that every room takes."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import kernels
from minicnn.kernel_check import TOLERANCE
from minicnn.kernels.trials import trials


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", kernels.KERNELS)
def test_trials_are_calls_that_the_rooms_agree_on(name, dtype):
    """A call that is wrong itself, or on which the definition is unclear, would accuse a right kernel."""
    found = [_in_room(name, arguments, "cpu") for arguments in trials(name, dtype)]
    wanted = [_in_room(name, arguments, "plain") for arguments in trials(name, dtype)]
    assert found
    for number, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        for a, b in zip(ours, theirs, strict=True):
            largest = np.abs(b[np.isfinite(b)]).max(initial=1)
            np.testing.assert_allclose(
                a, b, rtol=0, atol=TOLERANCE.get(b.dtype, 0) * largest, err_msg=f"trial {number} of {name}"
            )


def _in_room(name: str, arguments: tuple, room: str) -> list[np.ndarray]:
    """What a kernel returns, or the arguments if it changes those."""
    own = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    with kernels.use_room(room), np.errstate(invalid="ignore"):
        out = kernels.KERNELS[name](*own)
    if out is None:
        return [a for a in own if isinstance(a, np.ndarray)]
    return list(out) if isinstance(out, tuple) else [out]
