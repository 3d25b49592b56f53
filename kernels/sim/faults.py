"""What the checker found, told so that a student knows what happened and what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings

from .symbols import name_shared
from .text import compilers_name

ADVICE = {
    "race": "two threads use the same memory in an order that nobody fixes: put a __syncthreads() between the two "
    "lines, give each thread its own element, or add with atomicAdd",
    "out of bounds": "compare the index with the size of the array; a thread beyond the end needs a guard, "
    "`if (i < n)`",
    "uninitialised": "write before you read: shared memory, cupy.empty and local variables hold whatever was there "
    "before; is a __syncthreads(), an `= 0`, or an element at the border missing?",
    "misaligned": "a float4 must lie at a multiple of 16 bytes: begin at an index that is a multiple of 4, or read "
    "floats",
    "divergent barrier": "every thread of the block must reach the same __syncthreads(): no return before it, and none "
    "inside an if or a loop that not all threads enter alike",
    "shuffle mask": "the mask names the lanes that make the call, all of them, and each makes it: keep whole warps "
    "together, with blocks of a multiple of 32 threads, or compute the mask with __ballot_sync",
    "use after free": "keep the array, not only its address, until the kernel has run",
    "deadlock": "threads wait for each other at different places: let all of them pass the same barriers and shuffles",
    "hang": "does the loop's condition ever become false? Look at its step and at the type of its counter",
    "overflow": "compute flat offsets as long long: `(long long)n * c * h * w`; an int ends at 2147483647",
    "division": "a size or stride is 0; skip the launch for empty arrays",
    "stack": "large local arrays belong into shared memory",
    "assertion": "the kernel says itself what it expects",
    "undefined": "run it with the checker, which says what is wrong",
    "memory": "take smaller blocks",
}

PLACE = re.compile(r"#[^#]*:(?P<line>\d+)#|@(?P<address>0x[0-9a-f]+|0)@")


class KernelFault(RuntimeError):  # noqa: N818 - a name that users rely on
    """A kernel did what a GPU would not forgive, or would hide.

    Attributes
    ----------
    kind : str
        One of "race", "out of bounds", "uninitialised", "misaligned", "divergent barrier", "shuffle mask", "deadlock",
        "hang", "overflow", "use after free", "division", "stack", "assertion", "undefined", "memory".
    file, line : str, int or None
        Where; None if it happened in a function of the C library.
    other_line : int or None
        Of a race, the other access.
    block, thread : tuple of int or None
    """

    def __init__(
        self, kind: str, kernel: str, what: str, file: str = "", line: int | None = None, other_line: int | None = None,
        block: tuple[int, ...] | None = None, thread: tuple[int, ...] | None = None,
    ) -> None:  # fmt: skip
        self.kind, self.kernel, self.file, self.line, self.other_line = kind, kernel, file, line, other_line
        self.block, self.thread = block, thread
        place = f"{file}:{line}" if line else file
        who = f"block {_tuple(block)}, thread {_tuple(thread)}: " if block else ""
        super().__init__(f"{place}: {kind} in {kernel}: {who}{what}. What to do: {ADVICE[kind]}.")


class KernelWarning(UserWarning):
    """What is no fault for certain."""


def warn_of_unset(file: str, line: int, name: str) -> None:
    """Of a local variable: the compiler sees a way to this line on which it gets no value."""
    warnings.warn(
        f"{file}:{line}: {name} may be used here without a value: if the loop or the if before it can be passed by, or "
        "reads it first. What to do: give it a value where it is declared, `= 0`, or if that makes it a maximum or a "
        "minimum, the first element.",
        KernelWarning,
        stacklevel=2,
    )


def _tuple(numbers: tuple[int, ...] | None) -> str:
    return f"({','.join(map(str, numbers or ()))})"


def fault_of(report: str, kernel: str, library: os.PathLike, filename: str) -> KernelFault:
    """The runtime's report, ``kind|sentence|block|thread``, as an error.

    In the sentence, ``#file:line#`` and ``@address@`` are places. Those at its beginning say where it happened: the
    first one that is a line of the .cu file.
    """
    kind, what = report.split("|", 1)
    block = thread = None
    if who := re.search(r"\|(\d+,\d+,\d+)\|(\d+,\d+,\d+)$", what):
        what = what[: who.start()]
        block, thread = (tuple(map(int, part.split(","))) for part in who.groups())

    def line(place: re.Match) -> int | None:
        return int(place["line"]) if place["line"] else line_of(library, int(place["address"], 16), filename)

    first = None
    while place := PLACE.match(what):
        first, what = first or line(place), what[place.end() :]
    others = [line(place) for place in PLACE.finditer(what)]
    for other in others:
        what = PLACE.sub(str(other or "?"), what, count=1)
    what = name_shared(what, library)
    return KernelFault(kind, kernel, what, filename, first, others[0] if others else None, block, thread)


def line_of(library: os.PathLike, address: int, filename: str) -> int | None:
    """The line of the .cu file that a machine instruction came from; of inlined helpers, the line that called them."""
    program = shutil.which("addr2line")
    if not address or program is None:
        return None
    said = subprocess.run([program, "-i", "-e", library, hex(address)], capture_output=True, text=True, check=False)
    wanted = compilers_name(filename).rsplit("/", 1)[-1]
    for line in said.stdout.splitlines():
        file, _, number = line.split(" (")[0].rpartition(":")
        if file.rsplit("/", 1)[-1] == wanted and number.isdigit() and int(number):
            return int(number)
    return None
