"""How the lessons' kernels are launched, for the NVRTC gate (``kernels/nvrtc/gate.py``)."""

from __future__ import annotations

import math

import numpy as np

from ..nvrtc.baseline import Launches
from ..nvrtc.gate import ELEMENTS, Geometry


def record_launches() -> Launches:
    """Blocks of each kernel, as every version launches it if nobody asks for others: seen in the simulator.

    Raises
    ------
    CompileError
        The simulator cannot run here: it needs Linux and g++.
    """
    from ..sim import standin
    from . import LESSONS

    found: Launches = {}
    for lesson in LESSONS.values():
        for version in lesson.versions:
            for element in ELEMENTS:
                own = {k.instance(element) for k in version.kernels}  # version 2 of conv also launches im2col
                with standin.launches.collect() as seen:
                    for arguments in lesson.trials(element):
                        version.run(*(standin.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments))
                for launch in seen:
                    if launch.name in own:
                        geometry = Geometry(math.prod(launch.block), launch.shared_mem)
                        found.setdefault((version.file, launch.name), set()).add(geometry)
    return found
