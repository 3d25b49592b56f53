"""The loop of one side of a benchmark: requests come in as lines of JSON, answers go out as lines of JSON.

Each side has a process of its own, so that thread pools and allocators do not meet; the parent (``sides.py``) lets them
work in turn. Needs the standard library only: the peers' environments have nothing else in common.

    {"do": "prepare", ...}       drop what there was, build, run once: {"value", "gradients", "compiled", "seconds"}
    {"do": "run", "at_least": s} run for s seconds, once at least: {"seconds": of one run, "runs"}
    {"do": "peak"}               run once: {"mb": most memory held meanwhile, less what was held before building}
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import pathlib
import sys
import time
import traceback
from collections.abc import Callable
from typing import Protocol


class Task(Protocol):
    """What ``prepare`` gives."""

    def first(self) -> dict:
        """Run for the first time, without dropout; give what both sides must agree in."""

    def step(self) -> None:
        """What is timed."""


def serve(prepare: Callable[[dict], Task]) -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not come between
    worker = _Worker(prepare)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # a failing workload is a line of the table, not the end
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


class _Worker:
    def __init__(self, build: Callable[[dict], Task]) -> None:
        self.build, self.task, self.before, self.once = build, None, None, 0.0

    def prepare(self, **request) -> dict:
        self.task = None
        _give_back()
        self.before = memory("VmRSS")
        self.task = self.build(request)
        start = time.perf_counter()
        facts = self.task.first()
        self.once = time.perf_counter() - start
        return {**facts, "seconds": self.once}

    def run(self, at_least: float) -> dict:
        """How often is settled beforehand from the last run, so that no clock is read in between."""
        runs = max(1, math.ceil(at_least / max(self.once, 1e-7)))
        start = time.perf_counter()
        for _ in range(runs):
            self.task.step()
        self.once = (time.perf_counter() - start) / runs
        return {"seconds": self.once, "runs": runs}

    def peak(self) -> dict:
        """A step in its steady state: weights, gradients and the optimiser's velocities are there already."""
        if self.before is None:
            return {"mb": None}
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
        self.task.step()
        return {"mb": memory("VmHWM") - self.before}


def memory(which: str) -> float | None:
    """VmRSS (held now) or VmHWM (most so far) of this process in MB; None where there is no /proc."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) * 1024 / 1e6


def _give_back() -> None:
    """What was freed goes back to the system, so that it is not counted as held."""
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
