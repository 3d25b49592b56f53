"""The operators of the array class: ``a + 1``, ``2 * a``, ``a += b``, ``a > 0``, ``-a``, ``a @ b``."""

from __future__ import annotations

import numpy as np

from .border import array_operand, computed, elementwise


def _leaves_it_to(other, mine) -> bool:
    """Whether the other operand wants the operation for itself (NEP 13), as a class wrapping arrays would."""
    if hasattr(other, "__array_ufunc__"):
        return other.__array_ufunc__ is None
    return getattr(mine, "__array_priority__", 0) < getattr(other, "__array_priority__", 0)


def _forward(ufunc):
    def operator(self, other):
        return NotImplemented if _leaves_it_to(other, self) else elementwise(ufunc, self, other)

    return operator


def _backward(ufunc):
    def operator(self, other):
        return elementwise(ufunc, other, self)

    return operator


def _in_place(ufunc):
    def operator(self, other):
        return NotImplemented if _leaves_it_to(other, self) else elementwise(ufunc, self, other, out=self)

    return operator


def _comparison(ufunc):
    def operator(self, other):
        if isinstance(other, np.ndarray) and not other.ndim:
            other = other.item()  # NumPy makes arrays of its scalars here (numpy#12142), and so does CuPy undo it
        return NotImplemented if _leaves_it_to(other, self) else elementwise(ufunc, self, other)

    return operator


class Operators:
    """Mixed into the array class."""

    __add__, __radd__, __iadd__ = _forward(np.add), _backward(np.add), _in_place(np.add)
    __sub__, __rsub__, __isub__ = _forward(np.subtract), _backward(np.subtract), _in_place(np.subtract)
    __mul__, __rmul__, __imul__ = _forward(np.multiply), _backward(np.multiply), _in_place(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _forward(np.divide), _backward(np.divide), _in_place(np.divide)
    __floordiv__, __rfloordiv__ = _forward(np.floor_divide), _backward(np.floor_divide)
    __ifloordiv__ = _in_place(np.floor_divide)
    __mod__, __rmod__, __imod__ = _forward(np.remainder), _backward(np.remainder), _in_place(np.remainder)
    __pow__, __rpow__, __ipow__ = _forward(np.power), _backward(np.power), _in_place(np.power)
    __and__, __rand__, __iand__ = _forward(np.bitwise_and), _backward(np.bitwise_and), _in_place(np.bitwise_and)
    __or__, __ror__, __ior__ = _forward(np.bitwise_or), _backward(np.bitwise_or), _in_place(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = _forward(np.bitwise_xor), _backward(np.bitwise_xor), _in_place(np.bitwise_xor)
    __lshift__, __rlshift__, __ilshift__ = (_forward(np.left_shift), _backward(np.left_shift), _in_place(np.left_shift))
    __rshift__, __rrshift__ = _forward(np.right_shift), _backward(np.right_shift)
    __irshift__ = _in_place(np.right_shift)
    __divmod__, __rdivmod__ = _forward(np.divmod), _backward(np.divmod)

    __lt__, __le__ = _comparison(np.less), _comparison(np.less_equal)
    __gt__, __ge__ = _comparison(np.greater), _comparison(np.greater_equal)
    __eq__, __ne__ = _comparison(np.equal), _comparison(np.not_equal)
    __hash__ = None  # two arrays are equal element by element

    def __neg__(self):
        return elementwise(np.negative, self)

    def __pos__(self):
        return elementwise(np.positive, self)

    def __abs__(self):
        return elementwise(np.absolute, self)

    def __invert__(self):
        return elementwise(np.invert, self)

    def __matmul__(self, other):  # `a @= b` makes a new array of it, as in CuPy
        if _leaves_it_to(other, self):
            return NotImplemented
        return computed(np.matmul, self._host, array_operand(other))

    def __rmatmul__(self, other):
        return computed(np.matmul, array_operand(other), self._host)
