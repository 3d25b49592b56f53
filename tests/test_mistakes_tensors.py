"""Mistakes with tensors, gradients and Functions of one's own: what the message says."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import case, complaint, image

import minicnn as mc
from minicnn import functional as F

A, S, D, G = mc.ArgumentError, mc.ShapeError, mc.DtypeError, mc.GraphError


def leaf(*values):
    return mc.tensor(values or (1.0, 2.0, 3.0), requires_grad=True)


def assign(x, index, value):
    x[index] = value


MAKING = [
    case("ragged list", lambda: mc.tensor([[1, 2], [3]]), S, "equal lengths", "(1,) and (2,)"),
    case("ragged deep inside", lambda: mc.tensor([[[1], [2, 3]], [[4], [5]]]), S, "(1,) and (2,)"),
    case("tensors of two shapes", lambda: mc.tensor([image(2), image(3)]), S, "(2,) and (3,)"),
    case("string", lambda: mc.tensor("cat.jpg"), D, "holds numbers", "str"),
    case("list of strings", lambda: mc.tensor(["1.5"], dtype="float32"), D, "holds numbers", "<U3"),
    case("None", lambda: mc.tensor(None), D, "None", "return"),
    case("None in a list", lambda: mc.tensor([1, None], dtype="float32"), D, "holds numbers", "object"),
    case("complex", lambda: mc.tensor([1 + 2j]), D, "complex128"),
    case("misspelt dtype", lambda: mc.tensor([1], dtype="flaot32"), A, "'flaot32'", "'float32'"),
    case("dtype of text", lambda: mc.tensor([1], dtype="str"), A, "'str'", "'float32'"),
    case("too large for uint8", lambda: mc.tensor([1, 300], dtype="uint8"), D, "300", "uint8", "0 to 255"),
    case("NaN as int", lambda: mc.tensor([np.nan], dtype="int32"), D, "nan", "int32"),
    case("gradient of ints", lambda: mc.tensor(np.arange(3), requires_grad=True), D, "int64", "float32"),
    case("requires_grad_ of ints", lambda: mc.tensor(np.arange(3)).requires_grad_(), D, "int64"),
    case("device gpu", lambda: mc.tensor([1.0], device="gpu"), mc.DeviceError, "'gpu'", "'cuda'", "'cpu'"),
    case("to an unknown device", lambda: leaf().to("gpu"), A, "'gpu'", "'cpu'", "'float32'"),
    case("to None", lambda: leaf().to(None), A, "None", "'float32'"),
    case("to complex", lambda: image(2).to("complex64"), A, "'complex64'", "'float64'"),
    case("leaf to ints", lambda: leaf().to("int32"), D, "int32", "detach()"),
    case("negative seed", lambda: mc.manual_seed(-1), A, "-1", ">= 0"),
]

USING = [
    case("item of many", lambda: leaf().item(), S, "one element", "(3,)"),
    case("float of many", lambda: float(leaf()), S, "one element", "(3,)"),
    case("if on many", lambda: bool(leaf() > 0), S, "(3,)", ".any()"),
    case("len of a number", lambda: len(mc.tensor(3.0)), TypeError, "()", ".item()"),
    case("loop over a number", lambda: list(mc.tensor(3.0)), TypeError, "()", ".item()"),
    case("float32 plus float64", lambda: leaf() + np.ones(3), D, "float32 and float64", "x.to('float32')"),
    case("a float64 array", lambda: leaf() + np.ones(3), D, "float32 and float64", "x.to('float32')"),
    case("plus None", lambda: leaf() + None, D, "add", "None", "return"),
    case("plus a string", lambda: leaf() + "a", D, "holds numbers", "str"),
    case("shapes that do not broadcast", lambda: image(2, 3) * image(2, 4), S, "mul", "(2, 3) and (2, 4)"),
    case("comparing lengths 3 and 2", lambda: leaf() == np.ones(2), S, "eq", "(3,) and (2,)"),
    case("matmul misfit", lambda: image(2, 3) @ image(4, 5), S, "(2, 3) and (4, 5)", "3 columns meet 4 rows"),
    case("matmul batches", lambda: image(2, 3, 4) @ image(3, 4, 5), S, "(2, 3, 4) and (3, 4, 5)"),
    case("matmul with a number", lambda: mc.tensor(2.0) @ leaf(), S, "() and (3,)", "use *"),
    case("matmul of ints", lambda: mc.tensor(np.eye(2, dtype=int)) @ image(2, 2), D, "int64", "x.to('float32')"),
    case("reshape that does not fill", lambda: leaf().reshape(2, 2), S, "3 elements", "(3,)", "(2, 2)"),
    case("reshape two unknowns", lambda: leaf().reshape(-1, -1), S, "3 elements", "(-1, -1)"),
    case("reshape to a fraction", lambda: leaf().reshape(1.5, 2), S, "whole numbers", "(1.5, 2)"),
    case("transpose twice the same", lambda: image(2, 3).transpose(0, 0), S, "(0, 0)", "(2, 3)", "once"),
    case("transpose missing axis", lambda: image(2, 3).transpose(0, 2), S, "axis 2", "(2, 3)", "2 axes"),
    case("flatten backwards", lambda: image(2, 3).flatten(1, 0), S, "start_dim 1", "end_dim 0", "(2, 3)"),
    case("flatten missing axis", lambda: image(2, 3).flatten(5), S, "axis 5", "(2, 3)"),
    case("sum over a missing axis", lambda: image(2, 3).sum(axis=2), S, "axis 2", "(2, 3)"),
    case("sum over one axis twice", lambda: image(2, 3).sum(axis=(0, -2)), S, "(0, -2)", "twice"),
    case("mean of axis 1.5", lambda: image(2, 3).mean(axis=1.5), S, "axis 1.5", "(2, 3)"),
    case("mean of nothing", lambda: image(0, 3).mean(), S, "mean", "empty", "(0, 3)"),
    case("max of nothing", lambda: image(0, 3).max(axis=0), S, "max", "empty", "(0, 3)"),
    case("argmax over a missing axis", lambda: image(2, 3).argmax(5), S, "axis 5", "(2, 3)"),
    case("variance of one value", lambda: leaf(1.0).var(ddof=1), A, "ddof", "1"),
    case("softmax over a missing axis", lambda: F.softmax(image(2, 3), 2), S, "axis 2", "(2, 3)"),
    case("softmax of nothing", lambda: F.softmax(image(2, 0)), S, "empty", "(2, 0)"),
    case("squeeze of a long axis", lambda: image(2, 3).squeeze(0), S, "axis 0", "(2, 3)"),
    case("squeeze of a missing axis", lambda: image(2, 3).squeeze(7), S, "axis 7", "(2, 3)"),
    case("unsqueeze too far", lambda: image(2, 3).unsqueeze(4), S, "0 to 2", "4"),
    case("cat of nothing", lambda: mc.cat([]), S, "nothing to join"),
    case("cat without brackets", lambda: mc.cat(image(2, 3)), A, "list of tensors", "cat([a, b])"),
    case("cat misfit", lambda: mc.cat([image(2, 3), image(2, 4)]), S, "(2, 3) and (2, 4)", "but axis 0"),
    case("cat along a missing axis", lambda: mc.cat([image(2, 3)], axis=2), S, "axis 2", "(2, 3)"),
    case("stack misfit", lambda: mc.stack([image(2, 3), image(3, 2)]), S, "(2, 3), (3, 2)", "equal"),
    case("split sum", lambda: mc.split(image(6, 2), [2, 3]), S, "[2, 3] add up to 5", "has 6"),
    case("split into negative pieces", lambda: mc.split(image(6, 2), [8, -2]), A, "-2", ">= 0"),
    case("split into pieces of none", lambda: mc.split(image(6, 2), 0), A, "got 0", ">= 1"),
    case("split along a missing axis", lambda: mc.split(image(6, 2), 2, axis=3), S, "axis 3", "(6, 2)"),
    case("pad by one number", lambda: F.pad(image(1, 1, 4, 4), 2), A, "got 2", "(left, right, top, bottom)"),
    case("pad by less than none", lambda: F.pad(image(1, 1, 4, 4), (1, -1)), A, "(1, -1)", ">= 0"),
    case("index out of range", lambda: leaf()[7], IndexError, "index 7", "(3,)"),
    case("index by a float tensor", lambda: leaf()[mc.tensor([0.0])], S, "integer", "(3,)"),
    case("assigning into a graph", lambda: assign(leaf(), 0, 5), G, "mc.cat", "x * mask"),
    case("assigning too much", lambda: assign(image(2, 3), 0, [1, 2]), S, "(2,)", "(2, 3)"),
    case("draw as jpg", lambda: (leaf() * 2).draw("graph.jpg"), A, "graph.jpg", ".svg"),
]


@pytest.mark.parametrize("call, error, says", MAKING + USING)
def test_tensors(call, error, says):
    """A tensor that cannot be made or used so: the message has the shapes or values, and what would fit."""
    complaint(call, error, says)


# Gradients ----------------------------------------------------------------------------------------------------------
def twice(x):
    y = (x * 2).sum()
    y.backward()
    y.backward()


@mc.no_grad()
def without_graph(x):
    (x * 2).sum().backward()


GRADIENTS = [
    case("backward twice", lambda: twice(leaf()), G, "Sum", "run the forward again", "retain_graph=True"),
    case("backward of many", lambda: (leaf() * 2).backward(), G, "(3,)", ".mean() or .sum()"),
    case("nothing to learn", lambda: image(3).sum().backward(), G, "requires_grad=True"),
    case("under no_grad", lambda: without_graph(leaf()), G, "no_grad"),
    case("create_graph", lambda: leaf(1.0).sum().backward(create_graph=True), G, "no second derivatives"),
    case("gradient of another shape", lambda: (leaf() * 2).backward(np.ones(4)), S, "(4,)", "(3,)"),
    case("gradient of complex numbers", lambda: (leaf() * 2).backward(np.ones(3) * 1j), D, "complex128"),
    case("True in the gradient's place", lambda: leaf().sum().backward(True), D, "bool", "retain_graph=True"),
    case("freezing a result", lambda: (leaf() * 2).requires_grad_(False), G, "leaves", "detach()"),
]


@pytest.mark.parametrize("call, error, says", GRADIENTS)
def test_gradients(call, error, says):
    """A graph that cannot be walked: the message names the operation or the shapes, and the way out."""
    complaint(call, error, says)


# Functions of one's own ---------------------------------------------------------------------------------------------
def function(name: str, forward=lambda ctx, x: x * 2, backward=lambda ctx, grad: grad * 2):
    parts = {"forward": forward, "backward": backward}
    return type(name, (mc.Function,), {k: staticmethod(v) for k, v in parts.items() if v is not None})


def run(function, *inputs):
    function.apply(*inputs or (leaf(),)).sum().backward()


def two(ctx, a, b):
    return a + b


FUNCTIONS = [
    case("no forward", lambda: run(function("Mine", forward=None)), NotImplementedError, "Mine",
         "forward(ctx, *arrays"),
    case("no backward", lambda: run(function("Mine", backward=None)), NotImplementedError, "Mine",
         "backward(ctx, grad)"),
    case("called like a class", lambda: function("Mine")(leaf()), A, "Mine.apply(x)", "Mine(x)"),
    case("forward without return", lambda: run(function("Mine", lambda ctx, x: None)), D,
         "Mine.forward", "NoneType", "return missing"),
    case("forward returns two", lambda: run(function("Mine", lambda ctx, x: (x, x))), D,
         "Mine.forward", "one array", "tuple"),
    case("float64 leaks out", lambda: run(function("Mine", lambda ctx, x: x * np.float64(2))), D,
         "Mine.forward", "float64 for float32", "out.astype(x.dtype)"),
    case("backward without return", lambda: run(function("Mine", backward=lambda ctx, grad: None)), S,
         "Mine.backward", "None", "1 inputs", "return missing"),
    case("too few gradients", lambda: run(function("Mine", two), leaf(), leaf()), S,
         "Mine.backward", "1 gradients for 2 inputs"),
    case("too many gradients", lambda: run(function("Mine", backward=lambda ctx, grad: (grad, grad))), S,
         "Mine.backward", "2 gradients for 1 inputs"),
    case("gradient of another shape", lambda: run(function("Mine", backward=lambda ctx, grad: grad[:2])), S,
         "Mine.backward", "(2,) for input 0 of shape (3,)"),
    case("complex gradient", lambda: run(function("Mine", backward=lambda ctx, grad: grad * 1j)), D,
         "Mine.backward", "complex", "float32"),
    case("two dtypes", lambda: run(function("Mine", two), leaf(), np.ones(3)), D,
         "Mine", "float32 and float64"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", FUNCTIONS)
def test_own_functions(call, error, says):
    """A student's Function that breaks the contract is named, with what it gave and what was wanted."""
    complaint(call, error, says)


def test_failed_backward_leaves_no_gradient():
    """What goes wrong in one branch must not leave half a gradient in a leaf of that branch."""
    x = leaf()
    complaint(lambda: run(function("Mine", backward=lambda ctx, grad: grad[:2]), x), S)
    assert x.grad is None


# Replacing operations -----------------------------------------------------------------------------------------------
def no_padding(ctx, x, kernel_size, stride):
    return x


def replaced(name, function):
    with mc.replace(name, function):
        return F.max_pool2d(image(1, 1, 4, 4), 2, padding=1)


REPLACING = [
    case("misspelt", lambda: replaced("maxpool2d", function("Mine")), A, "'maxpool2d'", "did you mean max_pool2d"),
    case("unlike any", lambda: replaced("xyz", function("Mine")), A, "'xyz'", "conv2d, ", "relu"),
    case("by a plain function", lambda: replaced("relu", np.abs), A, "mc.Function", "ufunc 'absolute'"),
    case("option it does not know", lambda: replaced("max_pool2d", function("Mine", no_padding)), A,
         "Mine.forward", "padding=(1, 1, 1, 1)"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", REPLACING)
def test_replace(call, error, says):
    """mc.replace complains before or while it is used, and puts the old operation back."""
    complaint(call, error, says)
    assert F.max_pool2d(image(1, 1, 4, 4), 2, padding=1).shape == (1, 1, 3, 3)
