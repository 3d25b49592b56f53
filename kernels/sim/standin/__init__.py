"""A stand-in for the part of CuPy 14 that this project uses: the same names, on the CPU, stricter on purpose.

``kernels.cuda.backend.array_module("sim")`` gives this module where ``array_module("cuda")`` gives CuPy, and the code
between is the same. What it is for are the borders, where code that was never run on a GPU goes wrong:

* Between host and device nothing crosses by itself. ``np.asarray(x)`` and ``numpy_array + x`` raise CuPy's errors; the
  ways across are ``asarray``, ``x.get()``, ``x.set()``, ``x.item()`` and their like, and :data:`transfers` counts them.
* ``RawModule`` takes the .cu text that a GPU would get, and runs it in the simulator. What CuPy passes on unseen (the
  wrong count, width, dtype, layout, an empty grid) is an error here; :data:`launches` remembers each launch,
  :data:`operations` each of CuPy's own operations, :data:`allocations` what memory was taken.

Arrays lie in the simulator's device memory, apart from NumPy's. Ordinary operations are computed there by NumPy: the
numbers are NumPy's to the bit, types are NumPy 2's, layouts are CuPy's (element-wise results are in C order).

Stricter than CuPy: indices out of range raise (CuPy wraps them), NumPy arrays raise also where CuPy would hand them on
to NumPy. Not imitated: streams and several devices (everything has happened when a call returns), the memory pool's
stock, cuBLAS's rounding, ``ElementwiseKernel`` and ``ReductionKernel`` (write a .cu file: the simulator checks it), the
sequences of ``cupy.random``.

In check mode (:func:`kernels.sim.checking`) arrays remember which of their bytes were written. Arrays that were made
before count as written from end to end. Operations here may read what nobody has written, as copying a padded
buffer does; their result counts as written.
"""

from __future__ import annotations

import builtins as _builtins
import sys as _sys

import numpy as _numpy

from . import creation, cuda, functions, linalg, random, shaping, ufuncs
from .array import ndarray
from .creation import *  # noqa: F403
from .cuda import get_default_memory_pool, is_available
from .functions import *  # noqa: F403
from .raw import RawKernel, RawModule
from .records import allocations, launches, operations, transfers
from .shaping import *  # noqa: F403
from .ufuncs import *  # noqa: F403

__version__ = "14.0.0"  # whose behaviour this is

#: what CuPy takes over from NumPy as it is
FROM_NUMPY = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128 "
    "generic number integer signedinteger unsignedinteger inexact floating complexfloating dtype finfo iinfo "
    "issubdtype can_cast promote_types broadcast_shapes isscalar inf nan pi e newaxis"
).split()
globals().update({name: getattr(_numpy, name) for name in FROM_NUMPY})


def get_array_module(*args):
    """This module if any argument is a device array, else NumPy."""
    return _sys.modules[__name__] if _builtins.any(isinstance(a, ndarray) for a in args) else _numpy


__all__ = [
    "RawKernel", "RawModule", "allocations", "cuda", "get_array_module", "get_default_memory_pool", "is_available",
    "launches", "linalg", "ndarray", "operations", "random", "transfers",
    *creation.__all__, *functions.__all__, *shaping.__all__, *ufuncs.__all__, *FROM_NUMPY,
]  # fmt: skip
