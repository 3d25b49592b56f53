"""Drawn calls of operations on arrays: moving numbers, reductions, arithmetic, indexing."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F

from .case_table import CASES, case
from .helpers import Draw

torch = pytest.importorskip("torch")
TF = torch.nn.functional


# Moving numbers ---------------------------------------------------------------------------------------------------
@case
def pad(draw):
    shape = draw.shape()
    widths = [draw.int(0, 3) for _ in range(2 * draw.int(1, len(shape)))]
    value = draw.of(0.0, -1.5)
    return (lambda x: F.pad(x, widths, value)), (lambda x: TF.pad(x, widths, value=value)), [draw.array(*shape)]


@case
def channel_shuffle(draw):
    groups = draw.of(1, 2, 3, 4)
    calls = (lambda x: F.channel_shuffle(x, groups)), (lambda x: TF.channel_shuffle(x, groups))
    return *calls, [draw.array(draw.int(1, 2), groups * draw.int(1, 4), *draw.pair(1, 3))]


@case
def cat(draw):
    shape, axis = draw.of((2, 3, 4, 5), (3, 2), (4,)), draw.int(-1, 0)
    axis = draw.of(axis, 1) if len(shape) == 4 else axis
    sizes = [draw.int(1, 4) for _ in range(draw.int(1, 3))]
    shapes = [tuple(n if i == axis % len(shape) else m for i, m in enumerate(shape)) for n in sizes]
    return (lambda *a: mc.cat(a, axis)), (lambda *a: torch.cat(a, axis)), [draw.array(*s) for s in shapes]


@case
def stack(draw):
    shape = draw.shape(0, 4)
    axis = draw.int(0, len(shape))
    calls = (lambda *a: mc.stack(a, axis)), (lambda *a: torch.stack(a, axis))
    return *calls, [draw.array(*shape) for _ in range(draw.int(1, 3))]


@case
def split(draw):
    shape = draw.shape(1, 4, size_max=7)
    axis = draw.int(-len(shape), len(shape) - 1)
    first = draw.int(1, shape[axis])
    sizes = draw.of(draw.int(1, 3), [first, shape[axis] - first])
    weights = (1.0, -2.0, 3.0, 0.0, 5.0, 6.0, 7.0)  # one piece counts for nothing: its gradient is zero

    def weighted(split, cat):
        return lambda x: cat([piece * w for w, piece in zip(weights, split(x, sizes, axis))], axis)

    return weighted(mc.split, mc.cat), weighted(torch.split, torch.cat), [draw.array(*shape)]


@case
def reshape_and_permute(draw):
    a, b, c, d = shape = tuple(draw.int(1, 4) for _ in range(4))
    order = tuple(int(i) for i in draw.rng.permutation(4))
    kind = draw.of("reshape", "flatten", "permute", "swap", "squeeze", "unsqueeze")
    ours, theirs = {
        "reshape": (lambda x: x.reshape(b, -1, a), lambda x: x.reshape(b, -1, a)),
        "flatten": (lambda x: x.flatten(1, 2), lambda x: x.flatten(1, 2)),
        "permute": (lambda x: x.permute(*order), lambda x: x.permute(*order)),
        "swap": (lambda x: x.transpose(1, 3), lambda x: x.transpose(1, 3)),
        "squeeze": (lambda x: x.squeeze(), lambda x: x.squeeze()),
        "unsqueeze": (lambda x: x.unsqueeze(2), lambda x: x.unsqueeze(2)),
    }[kind]
    return ours, theirs, [draw.array(*shape)]


@case
def cast(draw):
    def ours(x):
        return (x.to("float64") * 1.5).to("float32") * 3

    return ours, (lambda x: (x.double() * 1.5).float() * 3), [draw.array(*draw.shape())]


# Reductions -------------------------------------------------------------------------------------------------------
def _reduction(ours, theirs):
    """PyTorch is given all axes where axis is None: some of its reductions take nothing else then."""

    def draw_case(draw):
        shape = draw.shape()
        axis = draw.of(None, draw.int(-len(shape), len(shape) - 1), tuple(range(draw.int(1, len(shape)))))
        axes = tuple(range(len(shape))) if axis is None else axis
        keepdims = draw.of(False, True)
        calls = (lambda x: ours(x, axis, keepdims)), (lambda x: theirs(x, axes, keepdims))
        return *calls, [1 + draw.array(*shape)]

    return draw_case


CASES["sum"] = _reduction(lambda x, a, k: x.sum(a, keepdims=k), lambda x, a, k: x.sum(a, keepdim=k))
CASES["mean"] = _reduction(lambda x, a, k: x.mean(a, keepdims=k), lambda x, a, k: x.mean(a, keepdim=k))
CASES["max"] = _reduction(lambda x, a, k: x.max(a, keepdims=k), torch.amax)
CASES["min"] = _reduction(lambda x, a, k: x.min(a, keepdims=k), torch.amin)
CASES["var"] = _reduction(
    lambda x, a, k: x.var(a, keepdims=k), lambda x, a, k: torch.var(x, a, correction=0, keepdim=k)
)


@case
def unbiased_var(draw):
    return (lambda x: x.var((0, 2), ddof=1)), (lambda x: torch.var(x, (0, 2), correction=1)), [draw.array(3, 2, 4)]


# Element by element -----------------------------------------------------------------------------------------------
def broadcasting_shapes(draw: Draw) -> tuple[tuple, tuple]:
    full = draw.shape(1, 4, size_max=4)
    a, b = (tuple(draw.of(n, n, 1) for n in full)[draw.of(0, 0, 1) :] for _ in "ab")
    return a, b


def _binary(ours, theirs, **kinds):
    """``kinds``: how the second array is drawn."""

    def draw_case(draw):
        a, b = broadcasting_shapes(draw)
        return ours, theirs, [draw.array(*a, **kinds.get("a", {})), draw.array(*b, **kinds.get("b", {}))]

    return draw_case


def _unary(call, theirs=None, **kind):
    return lambda draw: (call, theirs or call, [draw.array(*draw.shape(), **kind)])


POSITIVE = {"positive": True}
CASES |= {
    "add": _binary(lambda a, b: a + b, lambda a, b: a + b),
    "sub": _binary(lambda a, b: a - b, lambda a, b: a - b),
    "mul": _binary(lambda a, b: a * b, lambda a, b: a * b),
    "div": _binary(lambda a, b: a / b, lambda a, b: a / b, b=POSITIVE),
    "pow": _binary(lambda a, b: a**b, lambda a, b: a**b, a=POSITIVE),
    "maximum": _binary(mc.ops.arithmetic.maximum, torch.maximum),
    "minimum": _binary(mc.ops.arithmetic.minimum, torch.minimum),
    "scalars": _unary(lambda x: (2 - 3 * x) / 4 + (1 / (x * x + 2)) - 2 ** (x / 2) + (-x)),
    "exp": _unary(lambda x: x.exp()),
    "log": _unary(lambda x: x.log(), **POSITIVE),
    "sqrt": _unary(lambda x: x.sqrt(), **POSITIVE),
    "abs": _unary(lambda x: x.abs()),
    "clip": _unary(lambda x: x.clip(-1.0, 1.0), lambda x: x.clamp(-1.0, 1.0)),
    "clip_below": _unary(lambda x: x.clip(low=-1.0), lambda x: x.clamp(min=-1.0)),
    "shared_inputs": _unary(lambda x: x * x + x * 2 + x),
}


@case
def pow_of_a_number(draw):
    exponent = draw.of(0.0, 1.0, 2.0, 3.0, -1.0)
    return (lambda x: x**exponent), (lambda x: x**exponent), [draw.array(3, 4, rounded=False)]


# Indexing ---------------------------------------------------------------------------------------------------------
ROWS = np.array([0, 2, 2, -1, 0])  # with repetitions: their gradients add up
INDICES = {
    "integer": 1,
    "negative": -2,
    "slices": (slice(1, None), slice(None, None, 2)),
    "ellipsis": (..., 0),
    "new axis": (None, slice(0, 2), None),
    "rows": ROWS,
    "rows and columns": (ROWS, np.array([1, 1, 1, 0, 1])),
    "outer": (ROWS[:, None], np.array([[0, 3, 3]])),
    "apart": (ROWS, slice(None), np.array([0, 1, 1, 2, 0])),
    "beside a slice": (slice(None), np.array([[1, 1], [0, 2]])),
    "after an ellipsis": (..., np.array([1, 0, 1])),
    "mask": np.arange(3 * 4 * 3 * 2).reshape(3, 4, 3, 2) % 3 == 0,
    "mask of rows": np.array([True, False, True]),
    "mask beside a slice": (slice(None), np.array([True, False, False, True])),
    "empty mask": np.zeros(3, bool),
}


def index_for_torch(index) -> tuple:
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(torch.tensor(p) if isinstance(p, np.ndarray) else p for p in parts)


@case
def getitem(draw):
    name = draw.of(*INDICES)
    index = INDICES[name]
    theirs = index_for_torch(index)
    ours = draw.of(index, mc.tensor(index)) if isinstance(index, np.ndarray) else index
    return (lambda x: x[ours]), (lambda x: x[theirs]), [draw.array(3, 4, 3, 2)]
