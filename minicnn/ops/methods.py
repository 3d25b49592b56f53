"""Gives Tensor its operators and methods. Importing this module is what makes ``a + b`` work."""

from __future__ import annotations

import operator

from ..tensor import Tensor
from . import activation, arithmetic, indexing, matmul, reduction, shape


def _swapped(op):
    return lambda self, other: op(other, self)


for _name, _op in {
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "mul": arithmetic.mul,
    "truediv": arithmetic.div,
    "pow": arithmetic.pow,
    "matmul": matmul.matmul,
}.items():
    setattr(Tensor, f"__{_name}__", _op)
    setattr(Tensor, f"__r{_name}__", _swapped(_op))

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Tensor, f"__{_name}__", arithmetic.compare(getattr(operator, _name)))
Tensor.__hash__ = object.__hash__

Tensor.__neg__ = arithmetic.neg
Tensor.__abs__ = arithmetic.abs
Tensor.__getitem__ = indexing.getitem
Tensor.T = property(shape.transpose, doc="All axes reversed.")

for _method in (
    *(arithmetic.exp, arithmetic.log, arithmetic.sqrt, arithmetic.abs, arithmetic.pow, arithmetic.clip),
    *(reduction.sum, reduction.mean, reduction.var, reduction.max, reduction.min, reduction.argmax),
    *(shape.reshape, shape.flatten, shape.transpose, shape.squeeze, shape.unsqueeze, shape.split),
    *(matmul.matmul, activation.relu, activation.sigmoid, activation.tanh, activation.softmax),
):
    setattr(Tensor, _method.__name__, _method)
Tensor.permute = shape.transpose
Tensor.view = shape.reshape
