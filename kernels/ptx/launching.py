"""``ptx.launch``: one kernel of a text of PTX on NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from ..sim import launching
from ..sim.arguments import check_geometry, check_run
from ..sim.parameters import Parameter
from .module import PtxModule


@functools.lru_cache(maxsize=64)
def module(text: str, filename: str, check: bool) -> PtxModule:
    """The compiled text; the last few are kept."""
    return PtxModule(text, filename, check=check)


def launch(
    text: str, name: str, grid, block, args: Sequence, shared_mem: int = 0, check: bool = True, *,
    filename: str = "kernel.ptx", order: str = "forward", seed: int = 0, seconds: float | None = None,
) -> None:  # fmt: skip
    """Run one kernel of a text of PTX on the CPU, as :func:`kernels.sim.launch` does with a .cu text.

    PTX says how many bytes a parameter has, and not what it is: so the arguments are NumPy arrays, whose address has
    8 bytes, and NumPy scalars of the right size.

    Raises
    ------
    Unsupported
        The text holds an instruction that is not known; the message has its name and line.
    KernelFault
        The kernel did something wrong.
    TypeError, ValueError
        An argument does not fit, or there is no such kernel.
    """
    grid, block, shared_mem = check_geometry(grid, block, shared_mem)
    seed = check_run(order, seed, seconds)
    compiled = module(text, filename, check)
    try:
        wanted = compiled.signature(name)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    parameters = [_typed(f"{name}, argument {i}", p.size, a) for i, (p, a) in enumerate(zip(wanted, args))]
    if len(wanted) != len(args):
        raise TypeError(f"{name} takes {len(wanted)} arguments, got {len(args)}")
    launching.run(compiled, name, parameters, grid, block, args, shared_mem, order, seed, seconds)


def _typed(where: str, size: int, value: object) -> Parameter:
    """What a parameter of so many bytes is, if this is its value."""
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"{where}: an array or a NumPy scalar is needed, such as numpy.int32(3), got {value!r}")
    array = isinstance(value, np.ndarray)
    given = 8 if array else value.dtype.itemsize
    if given != size:
        what = "an array's address" if array else f"a {value.dtype}"
        raise TypeError(f"{where}: {what} has {given} bytes, and the parameter has {size}")
    return Parameter(array, False, "s" if value.dtype.kind == "V" else value.dtype.kind, value.dtype.itemsize)
