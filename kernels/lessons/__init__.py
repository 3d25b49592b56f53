"""Lessons: one computation in several CUDA versions, numbered, each better than the one before and saying why.

Every folder is a lesson: files ``1_*.cu``, ``2_*.cu`` ... to be read in this order, and an ``__init__.py`` that says
what they compute (:mod:`.catalogue`), how each is launched, and what it is tried on. The framework computes with
``kernels/cuda``, not with these. ``minicnn kernels lesson`` lists the lessons, ``minicnn kernels lesson matmul`` sets
the versions side by side, and ``minicnn kernels check mine.cu --as lesson:matmul/2`` checks a version of your own.
"""

from __future__ import annotations

from ..cuda.launcher import Kernel
from . import conv, matmul, max_pool_backward, reduction
from .catalogue import Lesson, Version

#: name -> lesson, in the order to take them in
LESSONS: dict[str, Lesson] = {
    module.LESSON.name: module.LESSON for module in (matmul, conv, max_pool_backward, reduction)
}


def declared() -> tuple[Kernel, ...]:
    """Every kernel of all lessons' own files, as in :func:`kernels.cuda.declared`."""
    return tuple(k for lesson in LESSONS.values() for version in lesson.versions for k in version.kernels)


__all__ = ["LESSONS", "Lesson", "Version", "declared"]
