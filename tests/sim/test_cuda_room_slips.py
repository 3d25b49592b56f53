"""One slip of a student in each .cu file of the cuda room, and what the checker calls it."""

from __future__ import annotations

import numpy as np
import pytest
from device_arrays import moved

from minicnn.kernels import KERNELS
from minicnn.kernels.cuda import launcher

OUTSIDE, BARRIER = "out of bounds", "__syncthreads();"
SLIPS = {  # file, kernel, what stands there, what the student wrote, the finding
    "a border one too far": ("pooling.cu", "max_pool2d", "iw >= w", "iw > w", OUTSIDE),
    "a guard forgotten": ("relu.cu", "relu", "i < size", "i <= size", OUTSIDE),
    "an index shifted": ("update.cu", "sgd_update", "g = grad[i]", "g = grad[i + 1]", OUTSIDE),
    "the last block is whole": ("dropout.cu", "dropout", "if (i < size)", "if (true)", OUTSIDE),
    "no barrier before reading": ("batch_norm.cu", "channel_stats", f"{BARRIER}\n    double", "double", "race"),
    "no barrier after reading": ("batch_norm.cu", "channel_stats", f"{BARRIER}  // nobody", "// nobody", "race"),
    "a sum not written": ("batch_norm.cu", "channel_sum", "x < lanes", "x + 2 < lanes", "uninitialised"),
    "a window too wide": ("lrn.cu", "local_response_norm", "channels - 1", "channels", OUTSIDE),
    "a class too many": ("cross_entropy.cu", "softmax_cross_entropy", "k < classes", "k <= classes", OUTSIDE),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_checker_finds_slips(xp, rng, checked, slip):
    """That the checker finds nothing in the room's own kernels means something only if it finds what is there."""
    from minicnn.kernels import sim

    file, name, right, wrong, kind = SLIPS[slip]
    text = launcher.source(file)
    assert right in text
    x = rng.standard_normal((1, 3, 5, 3))
    args = {
        "max_pool2d": (x, (2, 2), (1, 1), (1, 1, 1, 1), (1, 1), (6, 4)),
        "relu": (x,),
        "sgd_update": (x.copy(), x, None, 0.1, 0.0, 0.0, False),
        "dropout": (x, 0.5, 1, 2),
        "channel_stats": (x,),
        "channel_sum": (x,),
        "local_response_norm": (x, 3, 0.1, 0.5, 1.0),
        "softmax_cross_entropy": (x[0, :, :, 0], np.array([0, 1, 4]), 0.0),
    }[name]
    with launcher.replaced(file, text.replace(right, wrong)), pytest.raises(sim.KernelFault) as found:
        KERNELS[name](*moved(xp, args))
    assert found.value.kind == kind, found.value
