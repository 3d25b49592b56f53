"""The parent's end: a process for each side, and letting them work in turn."""

from __future__ import annotations

import json
import os
import pathlib
import selectors
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
PATIENCE = 600  # seconds for one answer


class SideError(Exception):
    """What went wrong on one side."""


class Side:
    """One process that answers requests (``worker.py``)."""

    def __init__(self, name: str, command: list[str], threads: int) -> None:
        self.name, self.command = name, command
        self.environment = os.environ | {
            f"{pool}_NUM_THREADS": str(threads) for pool in ("OMP", "MKL", "NUMBA", "OPENBLAS")
        }
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=self.environment
        )

    def ask(self, do: str, **request) -> dict:
        """Send a request and wait for its answer.

        Raises
        ------
        SideError
            If the other side reports an error, says nothing for ``PATIENCE`` seconds, or has ended.
        """
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
            self.process.stdin.flush()
            line = self._line()
        except BrokenPipeError:
            line = b""
        if not line:
            raise SideError(f"{self.name}: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer

    def _line(self) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self.stop()
                raise SideError(f"{self.name}: no answer within {PATIENCE} s")
        return self.process.stdout.readline()

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        self.stop()
        killed = f"the process was killed by signal {-code}; is there enough memory?"
        return killed if code < 0 else lines[-1] if lines else f"the process ended with status {code}"

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            try:
                pipe.close()
            except BrokenPipeError:  # an unsent request; the process is gone
                continue
        self.process = None


def both_sides(threads: int) -> dict[str, Side]:
    """Ours, and PyTorch in its two memory formats."""
    ours = Side("ours", [sys.executable, str(HERE / "ours.py"), str(threads)], threads)
    command = [sys.executable, str(HERE / "theirs.py"), str(threads)]
    theirs = [Side(f"torch {layout}", [*command, layout], threads) for layout in ("contiguous", "channels_last")]
    return {side.name: side for side in (ours, *theirs)}


def in_turn(sides: list[Side], rounds: int, at_least: float, longest: float) -> dict[str, list[float]]:
    """Seconds of one run, a number for each round.

    Who begins changes from round to round. After three rounds it ends when ``longest`` seconds have passed. A first
    run of each is not counted: its memory is new, and how many runs fill ``at_least`` is not known before.
    """
    for side in sides:
        side.ask("run", at_least=at_least)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    spent = 0.0
    for i in range(rounds):
        if i >= 3 and spent > longest:
            break
        for side in sides[i % len(sides) :] + sides[: i % len(sides)]:
            answer = side.ask("run", at_least=at_least)
            seconds[side.name].append(answer["seconds"])
            spent += answer["seconds"] * answer["runs"]
    return seconds
