"""The process that a submission runs in: it reads requests, computes what it is asked, and sends arrays back.

It knows no expected value and no seed. Requests come in by standard input and replies leave by standard output; both
are taken away from the submission before it is loaded, whose own printing goes to standard error.
"""

from __future__ import annotations

import os
import sys

from . import guard
from .perform import described, forbidding, load, perform
from .wire import HEAD, pack, sizes, unpack


def main() -> None:
    """Serve requests until there are no more."""
    requests, replies = _take_pipes()
    first = _read(requests)
    guard.limit(first["limits"])
    if first["do"] == "launch":  # no submission is loaded here: the text of a kernel is compiled, which starts g++
        from .launching import serve

        guard.close_but_for_compiling(first["open_to"], os.getcwd())
        return serve(first, lambda: _read(requests), lambda reply: _write(replies, reply))
    with forbidding(tuple(first["forbidden"])):
        guard.close(first["open_to"], first["limits"])
        try:
            names = load(first["source"], first["filename"])
        except BaseException as error:
            return _write(replies, {"error": described(error)})
        _write(replies, {"value": sorted(n for n in names if not n.startswith("_")), "changed": []})
        while (request := _read(requests)) is not None:
            reply = {"value": guard.usage(), "changed": []} if request["do"] == "usage" else perform(request, names)
            _write(replies, reply)


def _take_pipes():
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # what the submission prints is no reply
    os.close(nothing)
    sys.stdout = sys.stderr
    return requests, replies


def _read(stream) -> dict | None:
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    header, body = sizes(head)
    return unpack(stream.read(header), stream.read(body))


def _write(stream, reply: dict) -> None:
    stream.write(pack(reply))
    stream.flush()
