"""``python -m minicnn.gpu_check``: does all of this work on your GPU, and how fast is it? One report to paste.

No GPU was at hand where minicnn was written: its CUDA kernels were run by a simulator on the CPU. This looks at what a
simulator cannot know. Every kernel is held against its definition in NumPy, whole training steps against the CPU's, and
kernels are timed against CuPy, cuBLAS and the memory's speed. With ``--device sim`` the same runs in the simulator.
"""

from __future__ import annotations

from .examining import PARTS, check_compiler, examine
from .report import Line, Report

__all__ = ["PARTS", "Line", "Report", "check_compiler", "examine"]
