"""Gives Tensor its operators and methods. Importing this module is what makes ``a + b`` work."""

from __future__ import annotations

import operator

from ..autograd import grad_enabled
from ..device import plain_array
from ..errors import GraphError
from ..tensor import Tensor
from . import activation, arithmetic, indexing, matmul, move, reduction, shape


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
Tensor.__and__ = arithmetic.compare(operator.and_)  # masks: (x > 0) & (x < 1)
Tensor.__or__ = arithmetic.compare(operator.or_)
Tensor.__invert__ = lambda mask: Tensor(~mask.data)
Tensor.any = lambda mask: Tensor(plain_array(mask.data.any()))
Tensor.all = lambda mask: Tensor(plain_array(mask.data.all()))


def _in_place(op):
    """``p -= lr * p.grad``: a leaf that requires a gradient changes in place under no_grad, as in PyTorch's loops.

    Everything else gets a new tensor, as any ``a = a - b`` does: arrays that a graph has saved never change.
    """

    def method(self, other):
        if not (self.requires_grad and self.node is None):
            return op(self, other)
        if grad_enabled():
            raise GraphError("a leaf that requires a gradient is changed in place only inside `with mc.no_grad():`")
        self.data[...] = op(self, other).data
        return self

    return method


Tensor.__iadd__, Tensor.__isub__ = _in_place(arithmetic.add), _in_place(arithmetic.sub)
Tensor.__imul__, Tensor.__itruediv__ = _in_place(arithmetic.mul), _in_place(arithmetic.div)

Tensor.__neg__ = arithmetic.neg
Tensor.__abs__ = arithmetic.abs
Tensor.__getitem__ = indexing.getitem
Tensor.T = property(shape.transpose, doc="All axes reversed.")

for _method in (
    *(arithmetic.exp, arithmetic.log, arithmetic.sqrt, arithmetic.abs, arithmetic.pow, arithmetic.clip),
    *(reduction.sum, reduction.mean, reduction.var, reduction.max, reduction.min, reduction.argmax),
    *(shape.reshape, shape.flatten, shape.transpose, shape.permute),
    *(shape.clone, shape.squeeze, shape.unsqueeze, shape.split),
    *(matmul.matmul, activation.relu, activation.sigmoid, activation.tanh, activation.softmax),
):
    setattr(Tensor, _method.__name__, _method)
Tensor.view = shape.reshape
Tensor.cpu = lambda self: move.move(self, "cpu")
Tensor.cuda = lambda self: move.move(self, "cuda")
