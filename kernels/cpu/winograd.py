"""3x3 convolution with stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2015, arXiv:1509.09308).

The trick, in one dimension. Four outputs of a filter g with three taps see six inputs d: 4 * 3 products. But outputs,
filter and inputs are coefficients of polynomials, and a polynomial is also known by its *values* at enough points,
which multiply one by one:

    y = A^T [ (G g) * (B^T d) ]        6 products instead of 12        (section 4.1)

G evaluates the filter at the points 0, 1, -1, 2, -2 and infinity, B^T the inputs, and A^T goes back. In two dimensions
each is applied along rows, then along columns: a tile of 4x4 outputs takes 36 products instead of 144. Summed over
channels, each of the 36 is a matrix product, so a convolution has three phases (algorithm 1):

    spread     each tile of 6x6 pixels becomes 36 values, one a matrix            V[p]  (tiles, C)
    multiply   by the transformed weights: 36 products that share nothing         M[p] = V[p] @ U[p]   (tiles, O)
    collect    the 36 values of a tile become its 4x4 outputs                     y     (N, OH, OW, O)

The gradient by the input is such a convolution too. The gradient by the weights is F(3x3, 4x4): a filter of 4x4
gradients over the same 6x6 pixels has 3x3 outputs, summed over all tiles.

What is saved in products is partly paid for in additions and memory traffic: :func:`pays` weighs them. Tiles go
through the phases a few hundred at a time, so that V and M stay in cache and need little memory. The values at +-2 cost
digits: the error is some five times that of im2col, 2e-6 of the result's norm. An infinity becomes NaN all over its
tile; so whoever calls looks whether the result is finite, and takes im2col if it is not.
"""

from __future__ import annotations

import numba
import numpy as np

from .blas import multiply, rows_at_once
from .jit import kernel
from .winograd_tiles import OUT, VALUES, collect, spread, spread_grad, transform_weights, weights_from

BLOCK_BYTES = 8 << 20  # of V and M together
FEWEST_TILES = 128  # a block: BLAS packs the weights again for each


def fits(kernel_size: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int, dtype) -> bool:
    """Whether this convolution can be computed here at all: 3x3, stride 1, in float32, padding of at most 2.

    In float64 the digits are wanted, so it is always im2col.
    """
    plain = (tuple(kernel_size), stride, dilation, groups) == ((3, 3), (1, 1), (1, 1), 1)
    return plain and dtype == np.float32 and max(padding) <= 2


def pays(n: int, out_size: tuple[int, int], c: int, o: int) -> bool:
    """Whether F(4x4, 3x3) takes less time than im2col, by counting, in units of a multiplication and an addition.

    A number that is spread or collected costs as much as some 40 or 20 products in BLAS, and one of the transformed
    weights as much as 20 (fitted to times of 13 layers, two threads, AVX-512; the ratios matter, not the speed).

    >>> pays(16, (56, 56), 64, 64), pays(1, (7, 7), 512, 512), pays(128, (32, 32), 16, 16)
    (True, False, False)
    """
    tiles, pixels = n * _tiles(out_size[0]) * _tiles(out_size[1]), n * out_size[0] * out_size[1]
    products = VALUES * tiles * c * o
    return products + VALUES * (tiles * (40 * c + 20 * o) + 20 * c * o) < 9 * pixels * c * o


def _tiles(size: int) -> int:
    return -(-size // OUT)


def _block(tiles: int, channels: int) -> int:
    """How many of the tiles to take at once, where ``channels`` are those of V and M together; evened out."""
    fitting = max(FEWEST_TILES, BLOCK_BYTES // (VALUES * channels * 4))
    return -(-tiles // -(-tiles // fitting))


def forward(x, weight, bias, y, padding) -> bool:
    """Fill y (N, OH, OW, O) with the convolution of x (N, H, W, C) and weight (O, 3, 3, C), plus bias (O,) or nothing.

    Returns whether every output is finite.
    """
    swap = rows_at_once(x.shape[3], y.shape[3]) > 0  # narrow: BLAS reads (C, O) faster than the transpose of (O, C)
    weight = np.ascontiguousarray(weight.transpose(3, 1, 2, 0)) if swap else weight
    return _convolve(x, weight, not swap, False, bias, y, padding)


def input_grad(grad, weight, dx, padding) -> bool:
    """Fill dx (N, H, W, C) with the gradient by the input: a convolution of grad (N, OH, OW, O).

    Pixel (h, w) was seen by the outputs (h + top - kh, w + left - kw): the kernel is turned by 180 degrees, and the
    padding is what is left of 2. Returns whether every number is finite.
    """
    turned_padding = tuple(2 - p for p in padding)
    return _convolve(grad, weight, False, True, np.empty(0, dx.dtype), dx, turned_padding)


def _convolve(x, weight, transpose, turned, bias, y, padding) -> bool:
    """weight: (C, 3, 3, O), or with ``transpose`` (O, 3, 3, C); ``turned``: rotated by 180 degrees."""
    n, oh, ow, o = y.shape
    rows, columns = _tiles(oh), _tiles(ow)
    tiles = n * rows * columns
    block = _block(tiles, x.shape[3] + o)
    transformed = np.empty((VALUES, weight.shape[0], weight.shape[3]), x.dtype)  # U (36, C, O), or (36, O, C)
    transform_weights(weight, turned, transformed)
    values = np.empty((VALUES, block, x.shape[3]), x.dtype)  # V
    products = np.empty((VALUES, block, o), x.dtype)  # M
    finite = np.zeros(tiles, x.dtype)  # of each tile 0, or NaN
    for first in range(0, tiles, block):
        count = min(block, tiles - first)
        spread(x, first, count, (rows, columns), (padding[0], padding[2]), values)
        _multiply(values, transformed, transpose, count, products)
        collect(products, first, count, bias, y, finite)
    return bool(np.isfinite(finite).all())


@kernel
def _multiply(values, transformed, transpose, count, products):
    """M[p] = V[p] @ U[p], or @ U[p].T: 36 products, in halves or quarters if they are long."""
    pieces = max(1, min(4, count // 128))
    for task in numba.prange(VALUES * pieces):
        p, piece = task // pieces, task % pieces
        begin, end = count * piece // pieces, count * (piece + 1) // pieces
        if transpose:
            np.dot(values[p, begin:end], transformed[p].T, products[p, begin:end])
        else:
            multiply(values[p, begin:end], transformed[p], products[p, begin:end])


def weight_grad(grad, x, dw, padding) -> bool:
    """Fill dw (O, 3, 3, C) from grad (N, OH, OW, O) and x (N, H, W, C). Returns whether every number is finite."""
    n, oh, ow, o = grad.shape
    c = x.shape[3]
    rows, columns = _tiles(oh), _tiles(ow)
    tiles = n * rows * columns
    block = _block(tiles, c + o)
    values, grads = np.empty((VALUES, block, c), x.dtype), np.empty((VALUES, block, o), x.dtype)
    total = np.empty((VALUES, o, c), x.dtype)  # dU
    for first in range(0, tiles, block):
        count = min(block, tiles - first)
        spread(x, first, count, (rows, columns), (padding[0], padding[2]), values)
        spread_grad(grad, first, count, (rows, columns), grads)
        _add_products(grads, values, count, first == 0, total)
    weights_from(total, dw)
    return bool(np.isfinite(dw).all())


@kernel
def _add_products(grads, values, count, begin, total):
    """dU[p] += D[p].T @ V[p]"""
    _, o_size, c_size = total.shape
    for p in numba.prange(VALUES):
        if begin:
            np.dot(grads[p, :count].T, values[p, :count], total[p])
        else:
            product = np.empty((o_size, c_size), total.dtype)
            np.dot(grads[p, :count].T, values[p, :count], product)
            for o in range(o_size):
                for c in range(c_size):
                    total[p, o, c] += product[o, c]
