"""What an operation costs, and how far an output pixel sees: rules by the operation's name.

Conventions (those of the papers, the lecture and torchvision): a multiply-add counts as one; convolutions and linear
layers count; biases, norms, activations and everything element by element do not. What a pool adds or compares is kept
apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .autograd import Function
from .ops.registry import FUNCTIONS, NEUTRAL


class Window(NamedTuple):
    """What an output pixel of a convolution or pool looks at, (rows, columns)."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]  # top, bottom, left, right
    dilation: tuple[int, int] = (1, 1)


class Field(NamedTuple):
    """Receptive field, rows and columns: the side in input pixels of what one element depends on, and how many input
    pixels lie between neighbouring elements (the product of the strides)."""

    size: tuple[int, int]
    jump: tuple[int, int]


ONE_PIXEL = Field((1, 1), (1, 1))


def operation(function: type[Function]) -> str | None:
    """The name that a Function is registered under, also one that stands in by ``mc.replace``; None: one's own."""
    for name, known in FUNCTIONS.items():
        if known is function or issubclass(known, function):
            return name
    return None


def multiply_adds(name: str | None, function: type[Function], shapes: list, out: tuple[int, ...], options: dict):
    """Multiply-adds of an operation with input ``shapes`` and output shape ``out``; None if nobody knows.

    A Function of your own may say: a static method ``macs(out_shape, *input_shapes, **options)``.
    """
    if hasattr(function, "macs"):
        return int(function.macs(out, *shapes, **options))
    if name is None:
        return None
    return MULTIPLY_ADDS[name](shapes, out) if name in MULTIPLY_ADDS else 0


MULTIPLY_ADDS: dict[str, Callable[[list, tuple], int]] = {
    # each output element sums over the weights of its filter: C/groups * KH * KW
    "conv2d": lambda shapes, out: math.prod(out) * math.prod(shapes[1][1:]),
    "linear": lambda shapes, out: math.prod(out) * shapes[1][1],  # weight (O, I)
    "matmul": lambda shapes, out: math.prod(out) * shapes[0][-1],
}


def window(name: str | None, shapes: list, out: tuple[int, ...], options: dict) -> Window | None:
    """The window of a convolution or a pool, None for other operations."""
    options = {"stride": (1, 1), **NEUTRAL, **options}  # an operation that stands in may know fewer of them
    if name == "conv2d":
        return Window(shapes[1][2:], options["stride"], options["padding"], options["dilation"])
    if name in ("max_pool2d", "avg_pool2d"):
        return Window(options["kernel_size"], options["stride"], options["padding"], options["dilation"])
    if name == "adaptive_avg_pool2d":
        size, made = shapes[0][2:], out[2:]
        stride = tuple(n // o if o > 1 else 1 for n, o in zip(size, made))
        return Window(tuple(-(-n // o) for n, o in zip(size, made)), stride, (0, 0, 0, 0))
    return None


def pool_operations(name: str | None, seen: Window | None, out: tuple[int, ...]) -> int:
    """Additions or comparisons of a pool: its window, for each output element."""
    return math.prod(out) * math.prod(seen.kernel_size) if seen is not None and name != "conv2d" else 0


def receptive_field(fields: list[Field], seen: Window | None, options: dict) -> Field | None:
    """The field of an operation's output, from those of its inputs: the largest, and a window makes it grow.

    size' = size + (K - 1) dilation jump,   jump' = jump stride        (Araujo, Norris & Sim 2019, equation 2)
    """
    if not fields:
        return None
    size = tuple(max(f.size[i] for f in fields) for i in (0, 1))
    jump = tuple(max(f.jump[i] for f in fields) for i in (0, 1))
    if seen is not None:
        size = tuple(n + (k - 1) * d * j for n, k, d, j in zip(size, seen.kernel_size, seen.dilation, jump))
        jump = tuple(j * s for j, s in zip(jump, seen.stride))
    elif isinstance(options.get("index"), tuple) and len(options["index"]) == 4:  # x[:, :, ::2, ::2]
        steps = [i.step or 1 if isinstance(i, slice) else 1 for i in options["index"][2:]]
        jump = tuple(j * abs(s) for j, s in zip(jump, steps))
    return Field(size, jump)
