"""Do the trials of ``minicnn kernels check`` see a slip in our kernels? A mutation run over ``kernels/cuda/*.cu``.

A mutant is a kernel's text with one small change, such as a student's slip: ``<`` became ``<=``, a barrier is gone, h
and w are swapped. It is killed if ``minicnn kernels check`` finds something: wrong numbers, a fault of the checker, a
hang (of more than 2 seconds of one launch). One that survives shows a hole in the trials, or is no slip at all; which
of the two is said of each in ``survivors.md``. Mutants that do not compile do not count.

Changes are made in function bodies by the textual rules below, one at a time, anywhere but in comments. Not tried is
what small arrays cannot show: an offset that is an int in place of a long long. That makes some 2000 mutants, and each
is compiled for a second or so; so of every file at most 40 are drawn, always the same ones, each rule in its turn. The
whole run takes 4 to 8 minutes with two processes; ``--each 0`` takes all.

    python tests/sim/mutations.py [--file pooling.cu] [--each 40] [--jobs 2] [--out mutants.json]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from tqdm import tqdm

from minicnn import kernel_check, kernels
from minicnn.kernels.cuda import launcher
from minicnn.kernels.sim.text import without_comments

SECONDS = "2"  # of CPU time for one launch, then it hangs; the slowest right one takes a hundredth of that
FILES = tuple(sorted(path.name for path in launcher.FOLDER.glob("*.cu")))
CONVOLUTIONS = ("conv2d", "conv2d_input_grad", "conv2d_weight_grad")  # they launch kernels of three files

#: kind, what stands there, what is written instead
RULES = (
    *(
        ("comparison", f" {old} ", f" {new} ")
        for old, new in (("<", "<="), ("<=", "<"), (">", ">="), (">=", ">"), ("==", "!="), ("!=", "=="))
    ),
    *(
        ("arithmetic", f" {re.escape(old)} ", f" {new} ")
        for old, new in (("+", "-"), ("-", "+"), ("*", "+"), ("/", "%"), ("/", "*"), ("%", "/"))
    ),
    *(("assignment", f" {re.escape(old)} ", f" {new} ") for old, new in (("+=", "-="), ("-=", "+="), ("+=", "="))),
    ("assignment", " /= ", " *= "),
    ("logic", " && ", " || "),
    ("logic", r" \|\| ", " && "),
    ("step", r"\+\+(?=\w)", ""),
    ("constant", r"(?<![\w.])0(?![\w.])", "1"),
    ("constant", r"(?<![\w.])1(?![\w.])", "0"),
    ("constant", r"(?<![\w.])(?:[2-9]|[1-9]\d+)(?![\w.])", lambda match: str(int(match[0]) // 2)),
    ("barrier", r"__syncthreads\(\);", ""),
    ("barrier", r"__syncwarp\([^;]*\);", ""),
    ("shuffle", r"__shfl_xor_sync", "__shfl_down_sync"),
    ("shuffle", r"(?<=, )distance(?=\))", "distance + 1"),
    ("shuffle", "0xffffffffu", "0x0000ffffu"),
    ("dropped term", r" [+-] (top|left|bottom|right|before|after|c|o)\b(?! \*)", ""),
    ("dropped term", r" \* (sh|sw|dh|dw|stride|dilation|channels|multiplier)\b", ""),
    ("minimum", r"\bmin(?=\()", "max"),
    ("minimum", r"\bmax(?=\()", "min"),
    ("guard", r"\bif \((?:[^()]|\([^()]*\))*\)(?= \{\s*(?:continue|return))", "if (false)"),
    ("guard", r"\bif \((?:[^()]|\([^()]*\))*\)(?! \{\s*(?:continue|return))", "if (true)"),
    ("guard", r"\binside(?= \?)", "true"),
    ("accumulator", r"\bdouble(?= \w+ = )", "float"),
    *(
        ("swapped names", rf"\b{one}\b", other)
        for pair in (
            "h w", "ih iw", "oh ow", "kh kw", "sh sw", "dh dw", "top left", "bottom right", "kh_size kw_size",
            "oh_size ow_size", "first_row first_column", "height width", "before after", "mean var",
            "threadIdx.x threadIdx.y", "blockIdx.x blockIdx.y", "rows size",
        )
        for one, other in (pair.split(), reversed(pair.split()))
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one file: the characters from ``start`` to ``end`` became ``new``.

    Attributes
    ----------
    line : int
        Where, counted from 1.
    before, after : str
        What stood in that line, and what stands there now.
    """

    file: str
    kind: str
    start: int
    end: int
    new: str
    line: int
    before: str
    after: str

    def text(self) -> str:
        """The whole file with the change."""
        text = original(self.file)
        return text[: self.start] + self.new + text[self.end :]


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "does not compile", "survived", or why it was killed, such as "race"."""

    mutant: Mutant
    found: str
    said: str = ""

    @property
    def counts(self) -> bool:
        return self.found != "does not compile"

    @property
    def killed(self) -> bool:
        return self.counts and self.found != "survived"


def original(file: str) -> str:
    return (launcher.FOLDER / file).read_text(encoding="utf-8")


def mutants(file: str) -> list[Mutant]:
    """All mutants of a file, by place."""
    text = original(file)
    code = without_comments(text)  # blanks for comments, so places stay
    bodies = _inside_braces(code)
    found = {}
    for kind, old, new in RULES:
        for match in re.finditer(old, code):
            start, end = match.span()
            if not bodies[start]:
                continue
            changed = new(match) if callable(new) else new
            first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
            before, after = code[first:last], code[first:start] + changed + code[end:last]
            line = text.count("\n", 0, start) + 1
            mutant = Mutant(file, kind, start, end, changed, line, *(" ".join(t.split()) for t in (before, after)))
            found[start, end, changed] = mutant
    return [found[place] for place in sorted(found)]


def _inside_braces(code: str) -> np.ndarray:
    """For each character whether it is part of a function's body."""
    steps = np.array([(c == "{") - (c == "}") for c in code])
    return np.cumsum(steps) > 0


def drawn(file: str, most: int) -> list[Mutant]:
    """At most so many mutants of a file (0: all), always the same: one of each kind in turn."""
    everything = mutants(file)
    if not most or len(everything) <= most:
        return everything
    rng = random.Random(file)
    by_kind: dict[str, list[Mutant]] = {}
    for mutant in rng.sample(everything, len(everything)):
        by_kind.setdefault(mutant.kind, []).append(mutant)
    longest = max(map(len, by_kind.values()))
    in_turn = [of_kind[i] for i in range(longest) for of_kind in by_kind.values() if i < len(of_kind)]
    return sorted(in_turn[:most], key=lambda m: m.start)


def users(file: str) -> list[str]:
    """Names of the entries of ``KERNELS`` that launch a kernel of this file."""
    own = [name for name, kernel in kernels.KERNELS.items() if f"{kernel.file}.cu" == file]
    return own + [name for name in CONVOLUTIONS if file in ("im2col.cu", "depthwise.cu")]


def judge(mutant: Mutant) -> Outcome:
    """Check a mutant until something is found."""
    with (
        launcher.replaced(mutant.file, launcher.named(mutant.file, mutant.text())),
        np.errstate(all="ignore"),  # wrong numbers may be infinite
    ):
        for name in users(mutant.file):
            for verdict in kernel_check.check(name):
                if verdict.problem:
                    return Outcome(mutant, _kind(verdict.problem), f"{name}({verdict.arguments}): {verdict.problem}")
    return Outcome(mutant, "survived")


def _kind(problem: str) -> str:
    if "does not compile:" in problem:
        return "does not compile"
    fault = re.match(r"[^:]*(?::\d+)?: ([a-z ]+) in ", problem)  # as KernelFault says it
    return fault[1] if fault else "wrong numbers"


def _prepare(cache: str) -> None:
    """In a process of its own: nothing stays in the user's cache of compiled kernels, and hangs end soon."""
    os.environ |= {"XDG_CACHE_HOME": cache, "MINICNN_SIM_SECONDS": SECONDS}


def run(chosen: list[Mutant], jobs: int) -> Iterator[Outcome]:
    """Judge mutants in processes of their own, as they finish. One that takes its process along is killed, too."""
    with tempfile.TemporaryDirectory() as cache:
        unclear = []
        # every mutant leaves a library in the process that tried it, so now and then there are new ones
        for first in range(0, len(chosen), 50 * jobs):
            for mutant, outcome in _tried(chosen[first : first + 50 * jobs], jobs, cache):
                if outcome is None:
                    unclear.append(mutant)
                else:
                    yield outcome
        for mutant in unclear:  # one of them ended the process of all: each alone
            for _, outcome in _tried([mutant], 1, cache):
                yield outcome or Outcome(mutant, "crash")


def _tried(chosen: list[Mutant], jobs: int, cache: str) -> Iterator[tuple[Mutant, Outcome | None]]:
    """Each mutant and what became of it; None if its process ended."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _prepare, (cache,)) as pool:
        waiting = {pool.submit(judge, mutant): mutant for mutant in chosen}
        for done in concurrent.futures.as_completed(waiting):
            try:
                yield waiting[done], done.result()
            except concurrent.futures.process.BrokenProcessPool:
                yield waiting[done], None


def report(outcomes: list[Outcome]) -> str:
    """Figures for each file, as a table in Markdown."""
    lines = ["| file | mutants | killed | survived | kill rate |", "|---|---|---|---|---|"]
    for file in (*FILES, "all"):
        those = [o for o in outcomes if o.counts and file in (o.mutant.file, "all")]
        if those:
            killed = sum(o.killed for o in those)
            rate = 100 * killed / len(those)
            lines.append(f"| {file} | {len(those)} | {killed} | {len(those) - killed} | {rate:.1f} % |")
    kinds = Counter(o.found for o in outcomes)
    listed = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common() if kind != "does not compile")
    return "\n".join([*lines, "", f"Found: {listed}. {kinds['does not compile']} more do not compile."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--file", choices=FILES, action="append", help="only this one; may be given again")
    parser.add_argument("--each", type=int, default=40, help="at most so many mutants of a file; 0: all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, help="a .json file for all outcomes")
    options = parser.parse_args()
    chosen = [mutant for file in options.file or FILES for mutant in drawn(file, options.each)]
    outcomes = list(tqdm(run(chosen, options.jobs), total=len(chosen), unit="mutant"))
    outcomes.sort(key=lambda o: (o.mutant.file, o.mutant.start, o.mutant.new))
    if options.out:
        rows = [asdict(o.mutant) | {"found": o.found, "said": o.said} for o in outcomes]
        options.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(report(outcomes))
    for o in outcomes:
        if o.found == "survived":
            print(f"{o.mutant.file}:{o.mutant.line} {o.mutant.kind}: {o.mutant.before}  ->  {o.mutant.after}")
    sys.exit(sum(o.killed for o in outcomes) < 0.92 * sum(o.counts for o in outcomes))


if __name__ == "__main__":
    main()
