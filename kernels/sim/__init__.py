"""CUDA on the CPU: compiles the text of a .cu file with g++, runs its kernels, and finds what a GPU hides.

>>> import numpy as np
>>> text = '''
... extern "C" __global__ void twice(const float* x, float* y, int n)
... {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) y[i] = 2 * x[i];
... }'''
>>> x, y = np.arange(4, dtype=np.float32), np.empty(4, np.float32)
>>> launch(text, "twice", grid=2, block=3, args=[x, y, 4])  # doctest: +SKIP
>>> y  # doctest: +SKIP
array([0., 2., 4., 6.], dtype=float32)

What runs is the unchanged text. Each CUDA thread is a call of the kernel's function; one that waits at a barrier leaves
its stack and another goes on (``runtime/scheduler.h``). In check mode every access to memory is looked at
(``runtime/checker.h``): races, addresses out of bounds, numbers that nobody has written, barriers that not all threads
reach. In profile mode each access is counted (``runtime/profile.h``): how many sectors of memory a warp's loads and
stores touch, and which banks of shared memory they fight for. It needs g++ on Linux; :func:`why_not` says what is
missing.
"""

from __future__ import annotations

from .build import CompileError, why_not
from .faults import KernelFault, KernelWarning
from .launching import empty, launch
from .mode import checking, ptx
from .profile import profiling

__all__ = [
    "CompileError", "KernelFault", "KernelWarning", "checking", "empty", "launch", "profiling", "ptx", "why_not",
]  # fmt: skip
