"""A small block of products that stays in registers: what :mod:`.lanes` does all its work with.

The trick. A sum that is kept in memory is loaded and stored for each product that is added to it, and a processor loads
no faster than it multiplies. In registers it costs nothing. A tile of 4x4 sums takes 16 of AVX-512's 32 registers, and
the 4 + 4 numbers that are loaded for one step serve 16 products: two products a load, where an addition in memory has
a third of one. (Matrix libraries are built around such a tile: Goto & van de Geijn 2008, section 6.1.)

LLVM finds no such tile by itself: it vectorises the innermost loop only, and that is the sum. So :func:`multiply_add`
is a definition in NumPy, which runs where Numba is switched off, and :func:`_vectors` writes the same loop in LLVM's
own language, in which a vector is a value like any other. LLVM cuts vectors that are too long for a processor into
several; the sizes are meant for AVX-512, or else for AVX2. With the former, 60 to 90 GFLOPS a core became 150.
"""

from __future__ import annotations

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

LANES = 32  # numbers in a line
SIDE = 4  # a tile has SIDE * SIDE sums
TILE = SIDE * SIDE * LANES  # all its numbers


def multiply_add(sums, to, left, at_left, next_left, right, at_right, next_right, across, count):
    """sums[p, q] += sum over t < count of  left[t, q] * right[t, p]  for p, q < SIDE, where each is a line of LANES.

    The arrays are flat. sums (SIDE, SIDE, LANES) begins at ``to``, the line left[t, q] at at_left + t*next_left +
    q*LANES, and right[t, p] at at_right + t*next_right + p*across. ``count`` is at least 1.
    """
    for t in range(count):
        for p in range(SIDE):
            for q in range(SIDE):
                s, a = to + (p * SIDE + q) * LANES, at_left + t * next_left + q * LANES
                b = at_right + t * next_right + p * across
                sums[s : s + LANES] += left[a : a + LANES] * right[b : b + LANES]


@overload(multiply_add, jit_options={"forceinline": True})
def _multiply_add(sums, to, left, at_left, next_left, right, at_right, next_right, across, count):
    def compiled(sums, to, left, at_left, next_left, right, at_right, next_right, across, count):
        _vectors(sums, to, left, at_left, next_left, right, at_right, next_right, across, count)

    return compiled


def vector_bytes() -> int:
    """Of one register, on the processor that Numba compiles for."""
    try:
        features = numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM cannot tell on every system
        features = ""
    return 64 if "+avx512f" in features else 32


@intrinsic
def _vectors(typing, sums, to, left, at_left, next_left, right, at_right, next_right, across, count):
    """:func:`multiply_add` as LLVM's instructions, one part of the lanes and of the tile's columns after the other."""
    array, index = sums, types.intp
    signature = types.void(array, index, array, index, index, array, index, index, index, index)

    def generate(context, builder, signature, arguments):
        number = context.get_value_type(array.dtype)
        length = vector_bytes() // (array.dtype.bitwidth // 8)
        wide = SIDE if vector_bytes() == 64 else SIDE // 2  # 16 or 8 sums: half of the registers
        arguments = [
            context.make_array(array)(context, builder, value).data if kind == array else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        for lane in range(0, LANES, length):
            for first in range(0, SIDE, wide):
                _generate_part(builder, ir.VectorType(number, length), lane, range(first, first + wide), *arguments)
        return context.get_dummy_value()

    return signature, generate


def _generate_part(
    builder, vector, lane, columns, sums, to, left, at_left, next_left, right, at_right, next_right, across, count
):
    """Of the sums in ``columns`` the lanes from ``lane`` on: load them, loop over t, store them."""
    constant, bits = count.type, {"float": 32, "double": 64}[str(vector.element)]
    multiply = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{vector.count}f{bits}"
    )

    def place(array, first, offset):
        at = builder.add(builder.add(first, offset), constant(lane))
        return builder.bitcast(builder.gep(array, [at]), vector.as_pointer())

    def load(array, first, offset):
        return builder.load(place(array, first, offset), align=bits // 8)

    tile = [(p, q) for p in range(SIDE) for q in columns]
    home = [place(sums, to, constant((p * SIDE + q) * LANES)) for p, q in tile]
    before = [builder.load(where, align=bits // 8) for where in home]
    start, loop, done = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    t, *now = builder.phi(constant), *(builder.phi(vector) for _ in tile)
    at_left = builder.add(at_left, builder.mul(t, next_left))
    at_right = builder.add(at_right, builder.mul(t, next_right))
    lefts = {q: load(left, at_left, constant(q * LANES)) for q in columns}
    rights = [load(right, at_right, builder.mul(across, constant(p))) for p in range(SIDE)]
    after = [builder.call(multiply, [lefts[q], rights[p], value]) for (p, q), value in zip(tile, now, strict=True)]
    following = builder.add(t, constant(1))
    for value, first, then in zip([t, *now], [constant(0), *before], [following, *after], strict=True):
        value.add_incoming(first, start)
        value.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    builder.position_at_end(done)
    for where, value in zip(home, after, strict=True):
        builder.store(value, where, align=bits // 8)
