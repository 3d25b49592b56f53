"""The cuda room: raw CUDA kernels (``*.cu``), launched through CuPy on a GPU and, unchanged, in the simulator on a CPU.

Beside each ``NAME.cu`` lies ``NAME.py``, with the functions of the plain and cpu rooms under the same names: device
arrays in, C-contiguous and channels-last (N, H, W, C), device arrays out. A wrapper works out the sizes, allocates the
result and launches; that is all Python there is. Three rules:

* :mod:`.backend` alone imports CuPy, when it is first needed, and knows which arrays live where;
* every launch goes through :class:`.launcher.Kernel`, which checks what CuPy does not: CuPy hands a kernel whatever it
  is given, and a wrong type is read as garbage;
* large products are ``xp.matmul`` (cuBLAS), and so are transposes and reshapes ``xp``'s own. Everything else is a .cu.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launcher import Kernel


def declared() -> tuple[Kernel, ...]:
    """Every kernel of this room as it was declared (file, name, signature), by file and name."""
    from .launcher import FOLDER, Kernel  # not needed to tell where an array lives, which is all that most users need

    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f".{module.name}", __name__)
    return tuple(kernel for kernel in Kernel.all() if kernel.folder == FOLDER)
