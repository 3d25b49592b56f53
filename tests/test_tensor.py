"""Tensors: dtypes, conversions to plain Python, comparisons and masks, axes."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc


def leaf(values, dtype="float64"):
    return mc.tensor(values, dtype=dtype, requires_grad=True)


def test_python_numbers_adopt_the_tensors_dtype():
    """x * 2.5 stays float32; NumPy arrays on the left come to our operators too."""
    x = mc.tensor([1.0, 2.0])
    assert x.dtype == np.float32
    for y in (x * 2.5, 2.5 * x, x / 3, 1 - x, x**2, -x):
        assert y.dtype == np.float32
    y = np.ones(2, np.float32) + x
    assert isinstance(y, mc.Tensor) and y.tolist() == [2.0, 3.0]


def test_tensor_keeps_floating_dtypes_and_makes_numbers_float32():
    """Floating arrays keep their dtype, integer arrays too, Python numbers become float32; data are copied."""
    source = np.arange(3.0)
    x = mc.tensor(source)
    source[0] = 9
    assert x.dtype == np.float64 and x.data[0] == 0
    assert mc.tensor([1, 2]).dtype == np.float32
    assert mc.tensor(np.array([1, 2])).dtype == np.int64
    assert mc.tensor([np.float64(1)]).dtype == np.float64
    assert mc.tensor(np.arange(3.0, dtype=">f4")).dtype == np.dtype("float32")


def test_conversions_to_plain_python():
    x = mc.tensor([[3.0]])
    assert (float(x), int(x), bool(x), x.item(), len(x), x.tolist()) == (3.0, 3, True, 3.0, 1, [[3.0]])
    assert np.asarray(x).dtype == np.float32 and x.numpy() is x.data
    assert repr(mc.tensor([1.5])) == "tensor([1.5])"
    assert "requires_grad=True" in repr(leaf([1.5])) and "made by Mul" in repr(leaf([1.5]) * 2)


def test_comparisons_give_boolean_tensors_and_index():
    x = leaf([1.0, -2.0, 3.0])
    positive = x > 0
    assert positive.dtype == bool and not positive.requires_grad
    x[positive].sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 0, 1])
    assert {x: 1}[x] == 1  # tensors hash by identity


def test_numpy_scalars_adopt_the_tensors_dtype():
    """x * np.sqrt(2) stays float32: a NumPy scalar is a number, not a float64 array."""
    x = mc.tensor([1.0, 2.0])
    for y in (x * np.sqrt(2), x / np.int64(3), np.float64(2) - x, x ** np.float32(2)):
        assert y.dtype == np.float32


def test_formatting_rounding_and_masks():
    """f"{loss:.3f}" stands in nearly every training loop; masks combine; np.sum takes a tensor."""
    loss, x = mc.tensor(0.12345), mc.tensor([-1.0, 0.5, 2.0])
    assert f"{loss:.3f}" == "0.123" and round(loss, 2) == 0.12 and f"{x}" == str(x)
    assert ((x > 0) & (x < 1)).tolist() == [False, True, False] and (~(x > 0) | (x > 1)).tolist() == [True, False, True]
    assert (x > 0).any() and not (x > 0).all() and float(np.sum(x)) == 1.5
    assert [10, 20, 30][x.argmax()] == 30


def test_two_axes_swap_and_an_order_is_a_tuple():
    """transpose(0, 1) always swaps, as in PyTorch; a tuple is NumPy's order; permute wants all axes."""
    x = mc.tensor(np.zeros((2, 3)))
    assert x.transpose(0, 1).shape == x.T.shape == (3, 2) and x.transpose((0, 1)).shape == (2, 3)
    assert x.permute(1, 0).shape == (3, 2)
    with pytest.raises(mc.ShapeError, match="each of the 3 axes"):
        mc.tensor(np.zeros((2, 3, 4))).permute(0, 1)
