"""The parts one after another; what goes wrong in one is a line of it, and the next begins."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

import numpy as np

from .. import __version__, kernels
from ..device import to_device
from ..errors import DeviceError
from ..kernels.cuda import backend
from . import correctness, environment, large, steps, times
from .report import FAILED, Line, Part, Report, one_line

#: title -> the module: its ``lines(device, quick)``, HEAD and NOTE
PARTS = {
    "Machine": environment,
    "Kernels against NumPy": correctness,
    "Kernels at the size of real layers": large,
    "A training step against the CPU": steps,
    "Times": times,
}


def examine(device: str, quick: bool = False, tell: Callable[[str], None] = lambda text: None) -> Report:
    """Look at everything.

    Parameters
    ----------
    device : {"cuda", "sim"}
    quick : bool
        Fewer launch sizes, networks and rounds.
    tell : callable(str)
        Gets a line of text for each line of the report, as it is found.
    """
    report = Report(f"minicnn {__version__} on {device!r}{' (quick)' if quick else ''}")
    for title, module in PARTS.items():
        part = Part(title, module.HEAD)
        report.parts.append(part)
        try:
            part.note = module.note(device, quick) if hasattr(module, "note") else module.NOTE
            for line in module.lines(device, quick):
                part.lines.append(line)
                tell(f"{title}: {' '.join((line.status, *line.cells[:2]))}")
        except Exception as error:  # what nobody foresaw must not cost the other parts
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = one_line(f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})")
            part.lines.append(Line(FAILED, ("this part ended early", text)))
            tell(f"{title}: {text}")
    return report


def check_compiler(device: str) -> None:
    """Compile a kernel: without NVRTC or the CUDA headers no other line would say anything.

    Raises
    ------
    DeviceError
        With the remedy. Any other trouble is for the report.
    """
    try:
        kernels.relu(to_device(np.ones(1, np.float32), device))
    except backend.DeviceUnavailable as error:
        raise DeviceError(str(error)) from None
    except Exception as error:
        print(f"gpu_check: a first kernel failed ({type(error).__name__}), the report will say more", file=sys.stderr)
