"""Every kernel as NVIDIA's compiler emitted it, under the checker, against the .cu text that g++ compiled."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import kernels
from minicnn.kernels import sim
from minicnn.kernels.sim import standin
from minicnn.kernels.trials import trials

#: before and after PTX got typeless registers and pointers that are marked
ARCHITECTURES = ("sm_80", "sm_100")
#: NVRTC takes their products into sums (multiply-adds) where it finds that good, and so does g++; or they call exp, log
#: or pow, which NVIDIA and the C library compute each in its own way. All others must agree bit for bit.
ROUNDED = {
    "conv2d", "conv2d_input_grad", "conv2d_weight_grad", "channel_stats", "batch_norm", "batch_norm_backward",
    "batch_norm_relu", "batch_norm_relu_backward", "local_response_norm", "local_response_norm_backward",
    "softmax_cross_entropy", "sgd_update", "adam_update", "rmsprop_update",
}  # fmt: skip
LAUNCHED = [name for name in kernels.KERNELS if name != "matmul"]  # which is cuBLAS's business


def computed(name: str, arguments: tuple) -> list[np.ndarray]:
    """All that a kernel gives or changes, on the simulator."""
    own = [standin.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    results = kernels.KERNELS[name](*own)
    results = results if isinstance(results, tuple) else () if results is None else (results,)
    return [a.get() for a in (*results, *own) if isinstance(a, standin.ndarray)]


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAUNCHED)
def test_ptx_computes_what_the_text_says(name, dtype, arch):
    """The same numbers on all awkward shapes, without a finding of the checker; to a few units in the last place where
    rounding may differ."""
    if why := sim.why_not():
        pytest.skip(why)
    for arguments in trials(name, dtype):
        with sim.ptx(""), sim.checking(False):
            expected = computed(name, arguments)
        with sim.ptx(arch), sim.checking():
            found = computed(name, arguments)
        for wanted, got in zip(expected, found, strict=True):
            if name not in ROUNDED or wanted.dtype.kind != "f":
                np.testing.assert_array_equal(got, wanted)
                continue
            finite = wanted[np.isfinite(wanted)]
            largest = np.abs(finite).max() if finite.size else 0
            tolerance = 4 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * float(largest))
