"""What the parity tests share: drawn arrays, the same call in minicnn and in PyTorch, and the measure of agreement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn as mc

torch = pytest.importorskip("torch")

TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-4}  # of the norm; whole numbers must be equal
LAYOUTS = ("contiguous", "channels last", "strided", "transposed", "reversed")


def drawn(test, examples: int) -> None:
    """Run ``test(Draw)`` on so many drawn configurations, the same ones every time."""

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def run(data):
        test(Draw(data))

    run()


def drawn_configurations(case, at_least: int) -> None:
    """Compare the calls of ``case(draw)`` in so many configurations; what Hypothesis repeats does not count."""
    agreed = set()

    def test(draw):
        ours, theirs, arrays = case(draw)
        configuration = str(ours.keywords), *((a.shape, a.dtype, a.strides) for a in arrays)
        if configuration not in agreed:
            assert_same_calls(ours, theirs, arrays, draw.rng)
            agreed.add(configuration)

    drawn(test, at_least * 8 // 5)
    assert len(agreed) >= at_least


class Draw:
    """One drawn configuration: a dtype, a source of numbers, and shorthand for drawing."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.rng = np.random.default_rng(self.int(0, 2**16))
        self.dtype = np.dtype(self.of(np.float64, np.float32))

    def of(self, *values):
        return self._data.draw(st.sampled_from(values))

    def int(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.int(low, high), self.int(low, high)

    def shape(self, ndim_min: int = 1, ndim_max: int = 4, size_max: int = 5) -> tuple[int, ...]:
        return tuple(self.int(1, size_max) for _ in range(self.int(ndim_min, ndim_max)))

    def array(self, *shape: int, positive: bool = False, rounded: bool | None = None) -> np.ndarray:
        """Numbers of size 1 in a drawn memory layout; half of the time whole ones, so that there are ties and zeros."""
        values = np.asarray(self.rng.standard_normal(shape))
        if rounded or (rounded is None and self.of(False, True)):
            values = np.round(2 * values)
        values = np.abs(values) + 0.5 if positive else values
        return in_layout(np.asarray(values, self.dtype), self.of(*LAYOUTS))


def in_layout(values: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers and shape, lying otherwise in memory."""
    if layout == "channels last" and values.ndim == 4:
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "strided" and values.ndim:  # every second element of something larger
        wide = np.full((*values.shape[:-1], 2 * values.shape[-1] + 1), 7, values.dtype)
        wide[..., 1::2] = values
        return wide[..., 1::2]
    if layout == "transposed" and values.ndim > 1:
        return np.asfortranarray(values)
    if layout == "reversed" and values.ndim:
        return np.ascontiguousarray(values[::-1])[::-1]
    return values


def assert_close(got, want, what: str = "result") -> None:
    """Same shape, dtype, NaNs and infinities; and ||got - want|| <= tolerance * ||want||, so zeros must be zeros."""
    got, want = np.asarray(got), np.asarray(want.detach() if isinstance(want, torch.Tensor) else want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, PyTorch has {want.shape}"
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, PyTorch has {want.dtype}"
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=f"{what}: NaN and infinity")
    a, b = got[finite].astype(np.float64), want[finite].astype(np.float64)
    assert np.isfinite(a).all(), f"{what}: not finite where PyTorch is: {got} and {want}"
    error, size = np.linalg.norm(a - b), np.linalg.norm(b)
    allowed = TOLERANCE.get(want.dtype, 0) * size
    assert error <= allowed, f"{what}: off by {error:.3g} where {allowed:.3g} is allowed; {got} and {want}"


def assert_same_calls(ours, theirs, arrays, rng: np.random.Generator, gradients: bool = True) -> None:
    """``ours(*tensors)`` and ``theirs(*tensors)`` give the same result and the same gradient by every array."""
    before = [a.copy() for a in arrays]
    xs = [mc.Tensor(a, requires_grad=gradients) for a in arrays]
    ts = [torch.tensor(np.ascontiguousarray(a).reshape(a.shape), requires_grad=gradients) for a in arrays]
    y, t = ours(*xs), theirs(*ts)
    assert_close(y.data, t, "forward")
    if gradients:
        upstream = np.asarray(1 + rng.standard_normal(y.shape), y.dtype)
        y.backward(in_layout(upstream, LAYOUTS[rng.integers(len(LAYOUTS))]))
        t.backward(torch.tensor(upstream))
        for i, (x, s) in enumerate(zip(xs, ts, strict=True)):
            assert (x.grad is None) == (s.grad is None), f"input {i}: one side has no gradient"
            if x.grad is not None:
                assert_close(x.grad, s.grad, f"gradient of input {i}, {x.shape}")
    for array, original in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, original, err_msg="an input was changed in place")
