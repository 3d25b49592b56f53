"""Results that take too long for a chapter, kept as data with what made them."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

FOLDER = pathlib.Path(__file__).parent / "stored"


def stored(name: str, compute: Callable, rerun: bool = False):
    """The result of ``compute()``: as it lies in ``stored/NAME.json``, or, with ``rerun``, computed now and kept there.

    Parameters
    ----------
    name : str
        Of the file, such as ``"06_degradation"``.
    compute : callable
        Takes nothing, returns what JSON can hold: dicts with text as keys, lists, numbers, texts.
    rerun : bool
        A chapter passes its ``RERUN``.

    Raises
    ------
    FileNotFoundError
        Nothing is stored under this name; the message says how to compute it.
    """
    path = FOLDER / f"{name}.json"
    if rerun:
        from minicnn.files import replacing

        start = time.perf_counter()
        result = compute()
        made = {"seconds": round(time.perf_counter() - start), "made_with": _versions(), "result": result}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(made, indent=1) + "\n")
    if not path.is_file():
        raise FileNotFoundError(f"stored/{path.name} is missing; RERUN = True at the top of the chapter computes it")
    made = json.loads(path.read_text())
    print(f"A stored result, which took {made['seconds']} s; RERUN = True computes it anew.")
    return made["result"]


def _versions() -> dict[str, str | int]:
    import numpy

    import minicnn

    python = ".".join(map(str, sys.version_info[:2]))
    room = minicnn.kernels.current_room()
    return {"minicnn": minicnn.__version__, "numpy": numpy.__version__, "python": python, "room": room,
            "cores": os.cpu_count() or 1}  # fmt: skip
