"""Kernels that students wrote in CUDA, compiled and run in the simulator, in a process without any Python of theirs."""

from __future__ import annotations

from collections.abc import Callable

from ..kernels import sim
from .perform import described


def serve(first: dict, read: Callable[[], dict | None], write: Callable[[dict], None]) -> None:
    """Answer requests to launch a kernel until there are no more; the first one came with the limits."""
    request: dict | None = first
    while request is not None:
        write(_launch(request))
        request = read()


def _launch(request: dict) -> dict:
    args = request["args"]
    try:
        sim.launch(
            request["text"], request["kernel"], tuple(request["grid"]), tuple(request["block"]), args,
            shared_mem=request["shared_mem"], check=True, filename=request["filename"], order=request["order"],
            seconds=request["seconds"],
        )  # fmt: skip
        return {"value": args, "changed": []}
    except Exception as error:  # a fault of the kernel, of g++, or of the arguments: all are the student's to mend
        return {"error": {**described(error), "line": getattr(error, "line", None), "code": ""}}
