"""CuPy's element-wise functions: ``exp``, ``maximum``, ... over device arrays and scalars, never over NumPy arrays."""

from __future__ import annotations

import numpy as np

from . import records
from .border import array_operand, computed, elementwise, operand
from .indices import index_operand


class ufunc:  # noqa: N801 - CuPy's name
    """One element-wise function, computed by the NumPy ufunc of that name."""

    def __init__(self, function: np.ufunc) -> None:
        self._function = function
        self.__name__ = function.__name__
        self.name = f"cupy_{function.__name__}"
        self.nin, self.nout, self.nargs = function.nin, function.nout, function.nargs
        self.__doc__ = f"Element by element, as numpy.{function.__name__}; operands are device arrays or scalars."

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args, out=None, dtype=None, casting="same_kind", **unknown):
        if unknown:
            raise TypeError(f"Wrong arguments {unknown}")
        if len(args) not in (self.nin, self.nargs):
            raise TypeError(
                f"Wrong number of arguments for {self.name!r}. It must be either {self.nin} or {self.nargs} (with "
                f"outputs), but given {len(args)}."
            )
        if len(args) > self.nin:
            if out is not None:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            args, out = args[: self.nin], args[self.nin :]
        return elementwise(self._function, *args, out=out, dtype=dtype, casting=casting)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        return computed(self._function.reduce, array_operand(array), axis, dtype, keepdims=keepdims, out=out)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        return computed(self._function.accumulate, array_operand(array), axis, dtype, out=out)

    def outer(self, A, B, **keywords):
        return computed(self._function.outer, operand(A), operand(B), **keywords)

    def at(self, a, indices, b=None) -> None:
        """In place and unbuffered: an element that is picked twice is changed twice."""
        picked = tuple(map(index_operand, indices)) if isinstance(indices, tuple) else index_operand(indices)
        array_operand(a)
        records.operation(f"{self.__name__}.at")
        with np.errstate(all="ignore"):
            self._function.at(a._host, picked, *(() if b is None else (operand(b),)))
        a._written(picked)


def is_ufunc(x) -> bool:
    return isinstance(x, ufunc)


add, subtract, multiply, divide = ufunc(np.add), ufunc(np.subtract), ufunc(np.multiply), ufunc(np.divide)
true_divide, floor_divide, remainder, fmod = divide, ufunc(np.floor_divide), ufunc(np.remainder), ufunc(np.fmod)
mod, divmod, power, float_power = remainder, ufunc(np.divmod), ufunc(np.power), ufunc(np.float_power)
negative, positive, absolute, sign = ufunc(np.negative), ufunc(np.positive), ufunc(np.absolute), ufunc(np.sign)
abs, fabs, square, sqrt = absolute, ufunc(np.fabs), ufunc(np.square), ufunc(np.sqrt)
cbrt, reciprocal, heaviside = ufunc(np.cbrt), ufunc(np.reciprocal), ufunc(np.heaviside)
maximum, minimum, fmax, fmin = ufunc(np.maximum), ufunc(np.minimum), ufunc(np.fmax), ufunc(np.fmin)

exp, exp2, expm1 = ufunc(np.exp), ufunc(np.exp2), ufunc(np.expm1)
log, log2, log10, log1p = ufunc(np.log), ufunc(np.log2), ufunc(np.log10), ufunc(np.log1p)
logaddexp = ufunc(np.logaddexp)
sin, cos, tan = ufunc(np.sin), ufunc(np.cos), ufunc(np.tan)
arcsin, arccos, arctan, arctan2 = ufunc(np.arcsin), ufunc(np.arccos), ufunc(np.arctan), ufunc(np.arctan2)
sinh, cosh, tanh = ufunc(np.sinh), ufunc(np.cosh), ufunc(np.tanh)
arcsinh, arccosh, arctanh = ufunc(np.arcsinh), ufunc(np.arccosh), ufunc(np.arctanh)
hypot, deg2rad, rad2deg = ufunc(np.hypot), ufunc(np.deg2rad), ufunc(np.rad2deg)

floor, ceil, trunc, rint = ufunc(np.floor), ufunc(np.ceil), ufunc(np.trunc), ufunc(np.rint)
copysign, nextafter, ldexp, signbit = ufunc(np.copysign), ufunc(np.nextafter), ufunc(np.ldexp), ufunc(np.signbit)
frexp, modf = ufunc(np.frexp), ufunc(np.modf)
isfinite, isinf, isnan = ufunc(np.isfinite), ufunc(np.isinf), ufunc(np.isnan)
conj = conjugate = ufunc(np.conjugate)

equal, not_equal = ufunc(np.equal), ufunc(np.not_equal)
less, less_equal, greater, greater_equal = (
    ufunc(np.less),
    ufunc(np.less_equal),
    ufunc(np.greater),
    ufunc(np.greater_equal),
)
logical_and, logical_or = ufunc(np.logical_and), ufunc(np.logical_or)
logical_not, logical_xor = ufunc(np.logical_not), ufunc(np.logical_xor)
bitwise_and, bitwise_or, bitwise_xor = ufunc(np.bitwise_and), ufunc(np.bitwise_or), ufunc(np.bitwise_xor)
invert = bitwise_not = ufunc(np.invert)
left_shift, right_shift = ufunc(np.left_shift), ufunc(np.right_shift)

UFUNCS = {name: value for name, value in list(globals().items()) if is_ufunc(value)}
__all__ = ["ufunc", *UFUNCS]
