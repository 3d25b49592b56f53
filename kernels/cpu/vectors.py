"""Instructions on many numbers at once, for :mod:`.direct`: each is defined in Python here, and built for LLVM.

A processor multiplies and adds 8 or 16 floats with one instruction, if they lie in a vector register. The compiler
finds such instructions in plain loops, but it will not keep a small matrix in registers while a loop adds to it: the
sums go through memory every time. These functions say that it should. A *block* is COUNT vectors of LANES float32: in
Python an array (COUNT, LANES), in compiled code registers, 16 of the 32 that AVX-512 has, and half of each without.

The Python definitions are what runs under NUMBA_DISABLE_JIT=1. Arrays are flat, and nobody looks whether an index is
inside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
from numba.extending import lower_builtin, register_model, type_callable

from .tile import vector_bytes

LANES = COUNT = vector_bytes() // 4


class _Block(types.Type):
    """A block's type in compiled code."""


BLOCK, NUMBERS, INDEX = _Block("Block"), types.Array, types.intp
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_VECTORS = ir.ArrayType(_VECTOR, COUNT)
_MAY_FUSE = ("contract",)  # as in `jit`: a * b + c may round once


@register_model(_Block)
class _BlockModel(extending.models.PrimitiveModel):
    """What such a type is made of."""

    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, _VECTORS)


def _compiles(definition: Callable, result, *arguments) -> Callable:
    """Decorate what builds LLVM code for calls of ``definition``; ``arguments`` are BLOCK, NUMBERS or INDEX."""

    @type_callable(definition)
    def _typer(context):
        def typer(*found):
            pairs = zip(arguments, found, strict=True)
            return result(*(found if wanted is NUMBERS else wanted for wanted, found in pairs))

        typer.__signature__ = inspect.signature(definition)
        return typer

    return lower_builtin(definition, *arguments)


def _spaced(builder, first, step):
    """The COUNT indices first, first + step, ..."""
    for i in range(COUNT):
        yield builder.add(first, builder.mul(step, ir.Constant(step.type, i)))


def _address(context, builder, kind, array, index):
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _vector_address(context, builder, kind, array, index):
    return builder.bitcast(_address(context, builder, kind, array, index), _VECTOR.as_pointer())


def _load(builder, address):
    vector = builder.load(address)
    vector.align = 4  # bytes: arrays begin, and pixels follow each other, anywhere
    return vector


def repeat(numbers, at):
    """A block whose vectors are all numbers[at : at + LANES]."""
    return np.tile(numbers[at : at + LANES], (COUNT, 1))


@_compiles(repeat, BLOCK, NUMBERS, INDEX)
def _repeat(context, builder, signature, arguments):
    vector = _load(builder, _vector_address(context, builder, signature.args[0], *arguments))
    block = ir.Constant(_VECTORS, ir.Undefined)
    for i in range(COUNT):
        block = builder.insert_value(block, vector, i)
    return block


def zeros():
    """A block of zeros."""
    return np.zeros((COUNT, LANES), np.float32)


@_compiles(zeros, BLOCK)
def _zeros(context, builder, signature, arguments):
    return ir.Constant(_VECTORS, None)


def multiply_add(block, x, first, step, w, at):
    """block[i] + x[first + i * step] * w[at : at + LANES], for each i of COUNT"""
    return block + np.outer(x[first + step * np.arange(COUNT)], w[at : at + LANES])


@_compiles(multiply_add, BLOCK, BLOCK, NUMBERS, INDEX, INDEX, NUMBERS, INDEX)
def _multiply_add(context, builder, signature, arguments):
    block, x, first, step, w, at = arguments
    vector = _load(builder, _vector_address(context, builder, signature.args[4], w, at))
    undefined, first_lane = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    all_first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    for i, index in enumerate(_spaced(builder, first, step)):
        number = builder.load(_address(context, builder, signature.args[1], x, index))
        repeated = builder.insert_element(undefined, number, first_lane)
        repeated = builder.shuffle_vector(repeated, undefined, all_first)
        product = builder.fmul(repeated, vector, flags=_MAY_FUSE)
        block = builder.insert_value(block, builder.fadd(builder.extract_value(block, i), product, flags=_MAY_FUSE), i)
    return block


def store(block, numbers, first, step):
    """numbers[first + i * step :][:LANES] = block[i], for each i of COUNT"""
    for i in range(COUNT):
        numbers[first + i * step : first + i * step + LANES] = block[i]


@_compiles(store, types.void, BLOCK, NUMBERS, INDEX, INDEX)
def _store(context, builder, signature, arguments):
    block, numbers, first, step = arguments
    for i, index in enumerate(_spaced(builder, first, step)):
        address = _vector_address(context, builder, signature.args[1], numbers, index)
        builder.store(builder.extract_value(block, i), address).align = 4
    return context.get_dummy_value()


def add_to(block, numbers, first, step):
    """numbers[first + i * step :][:LANES] += block[i], for each i of COUNT"""
    for i in range(COUNT):
        numbers[first + i * step : first + i * step + LANES] += block[i]


@_compiles(add_to, types.void, BLOCK, NUMBERS, INDEX, INDEX)
def _add_to(context, builder, signature, arguments):
    block, numbers, first, step = arguments
    for i, index in enumerate(_spaced(builder, first, step)):
        address = _vector_address(context, builder, signature.args[1], numbers, index)
        builder.store(builder.fadd(_load(builder, address), builder.extract_value(block, i)), address).align = 4
    return context.get_dummy_value()


def prefetch(numbers, at):
    """Nothing; but the processor is told that numbers[at] will be wanted soon."""


@_compiles(prefetch, types.void, NUMBERS, INDEX)
def _prefetch(context, builder, signature, arguments):
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    address = builder.bitcast(_address(context, builder, signature.args[0], *arguments), pointer)
    instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(instruction, [address, number(0), number(2), number(1)])  # to read, into the second-level cache
    return context.get_dummy_value()
