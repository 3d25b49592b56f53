"""The parent's side: one process for one submission, what is asked of it, and its end."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import dataclass

import numpy as np

from .. import __path__ as _package
from .wire import HEAD, WireError, pack, sizes, unpack

MEGABYTE = 2**20
NOT_WRITTEN = "not written yet"  # what the stub's NotImplementedError says
LONGEST_OUTPUT = 100_000  # characters kept of what a submission prints


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes
    ----------
    seconds : float
        By the clock, for all of its checks together.
    check_seconds : float
        For one check; what takes longer is ended, and the next check starts afresh.
    cpu : int
        Seconds of the processor.
    memory : int
        MB of address space.
    """

    seconds: float = 60
    check_seconds: float = 20
    cpu: int = 30
    memory: int = 1024


class SubmissionError(Exception):
    """A submission raised something, returned something that cannot travel, or came to an end."""


class Ended(SubmissionError):  # noqa: N818 - one of several ends
    """Its process is gone: killed for time or memory, or it ended itself."""


class Child:
    """A process that computes for one submission. ``ask`` it, then ``close`` it; also as a ``with`` block.

    Parameters
    ----------
    first : dict
        The first request: the submission itself, or a launch.
    limits : Limits
    show : bool
        Hand on what the submission prints to our standard error.
    """

    def __init__(self, first: dict, limits: Limits, show: bool = False) -> None:
        self.limits, self.printed, self._characters, self._show = limits, [], 0, show
        self._folder = tempfile.TemporaryDirectory(prefix="minicnn-coursework-", ignore_cleanup_errors=True)
        code = f"import sys; sys.path[:] = {_paths()!r}; from minicnn.coursework.child import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self._folder.name, env=_environment(self._folder.name),
            start_new_session=True,
        )  # fmt: skip
        self._replies: queue.Queue = queue.Queue(maxsize=1)  # who floods us waits
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._receive, self._drain)]
        for thread in self._threads:
            thread.start()
        compiles = first["do"] == "launch"
        memory = max(limits.memory, 4096) if compiles else limits.memory  # the checker's map of memory is large
        allowed = {"cpu": limits.cpu, "memory": memory * MEGABYTE, "compiles": compiles}
        self._first = {"limits": allowed, "open_to": _readable(), **first}

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self, seconds: float) -> object:
        """Send the first request; its answer."""
        return self.ask(self._first, seconds)

    def ask(self, request: dict, seconds: float) -> dict:
        """The reply to one request.

        Raises
        ------
        SubmissionError
            Of the submission's own making: in words, with the line.
        Ended
            There was no reply, and why.
        """
        try:
            message = pack(request)
        except WireError as error:
            raise SubmissionError(f"what the function was to get next could not be handed over: {error}") from None
        writer = threading.Thread(target=self._send, args=(message,), daemon=True)  # it may never read
        writer.start()
        try:
            reply = self._replies.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            self.close()
            raise Ended(f"it took longer than {seconds:.3g} seconds; is there an endless loop?") from None
        if reply is None:
            raise Ended(self._why_it_ended())
        return _checked(reply)

    def close(self) -> None:
        """End the process and its group, whatever it does."""
        if os.name == "posix":
            try:
                os.killpg(self._process.pid, signal.SIGKILL)  # its own session: its id is the group's
            except (ProcessLookupError, PermissionError):  # nobody is left in the group
                self._process.kill()
        else:
            self._process.kill()
        self._process.wait()
        until = time.monotonic() + 2  # if a process got away that holds the pipes, they are left to it
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                self._replies.get_nowait()  # a reply that nobody wants lets its thread go on, to the end
            for thread in self._threads:
                thread.join(timeout=0.01)
        if not any(thread.is_alive() for thread in self._threads):
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError, ValueError):  # a broken pipe, as it should be by now
                        stream.close()
        self._folder.cleanup()

    @property
    def output(self) -> str:
        """The beginning of what the submission printed."""
        return "".join(self.printed)

    def _send(self, message: bytes) -> None:
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except (OSError, ValueError):  # it is gone; the missing reply says so
            return

    def _receive(self) -> None:
        try:
            while True:
                header, body = sizes(_exactly(self._process.stdout, HEAD.size))
                self._replies.put(unpack(_exactly(self._process.stdout, header), _exactly(self._process.stdout, body)))
        except EOFError:
            self._replies.put(None)
        except (WireError, OSError, ValueError) as error:
            self._replies.put(WireError(str(error)))

    def _drain(self) -> None:
        for chunk in iter(lambda: self._process.stderr.read1(1 << 16), b""):
            if self._characters < LONGEST_OUTPUT:
                text = chunk.decode(errors="replace")[: LONGEST_OUTPUT - self._characters]
                self.printed.append(text)
                if self._show:  # from here: the process itself may write to no file, and this may be one
                    sys.stderr.write(text)
                self._characters += len(text)

    def _why_it_ended(self) -> str:
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "it closed the way back to the grader"
        if status >= 0:
            return f"the process ended itself with status {status}; is there an exit() or os._exit() in the file?"
        name = signal.Signals(-status).name
        if name in ("SIGXCPU", "SIGKILL"):
            return f"it used more than {self.limits.cpu} seconds of the processor; is there an endless loop?"
        return f"the process was ended by {name}"


def _exactly(stream, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _checked(reply: object) -> dict:
    if isinstance(reply, WireError):
        raise Ended(f"it sent something that is no reply ({reply})")
    if not isinstance(reply, dict) or not {"error", "value"} & reply.keys():
        raise Ended("it sent something that is no reply")
    if "error" in reply:
        raise SubmissionError(in_words(reply["error"]))
    return reply


def in_words(error: object) -> str:
    """``line 12 (`y = x @ w`): ValueError: shapes do not fit``"""
    if not isinstance(error, dict):
        return "it failed, and the reason cannot be read"
    kind, message = str(error.get("type"))[:100], str(error.get("message"))[:1000]
    if kind == "NotImplementedError":
        return f"{NOT_WRITTEN} ({message})" if message else NOT_WRITTEN
    if kind == "MemoryError" or kind.endswith("ArrayMemoryError"):
        message = f"more memory was wanted than a submission may have. {message}".rstrip()
    said = f"{kind}: {message}" if kind not in ("Forbidden", "WireError", "NotPermitted") else message
    if error.get("line") is not None:
        code = f" (`{str(error['code'])[:200]}`)" if error.get("code") else ""
        return f"line {error['line']}{code}: {said}"
    return said


def _paths() -> list[str]:
    """Where the child finds its packages: where this process finds them."""
    return [os.path.abspath(path) for path in sys.path if path and os.path.exists(path)] + [
        os.path.dirname(os.path.abspath(_package[0]))
    ]


def _readable() -> list[str]:
    """What the child may read: the installation of Python, and the packages that it uses."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    libraries = [sysconfig.get_path(name) for name in names] + [
        os.path.join(sys.base_prefix, "lib"),
        "/usr/lib",
        "/lib",
    ]
    own = os.path.abspath(_package[0])
    kernels = os.path.join(os.path.dirname(own), "kernels")
    return [*libraries, own, kernels, os.path.dirname(os.path.dirname(os.path.abspath(np.__file__))), "/dev/urandom"]


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the teacher's, but what the system needs; one thread, the plain room.

    What a submission has compiled lies in its own folder: in the teacher's, one could leave something for the next.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    kept = {n: os.environ[n] for n in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "MINICNN_CXX") if n in os.environ}
    return {**kept, **threads, "MINICNN_ROOM": "plain", "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}


def remaining(deadline: float, most: float) -> float:
    """Seconds until ``deadline``, at most ``most``."""
    return min(most, deadline - time.monotonic())
