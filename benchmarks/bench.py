"""minicnn against PyTorch on the CPU, one table: ``make bench``.

Every line is our time over PyTorch's in the better of its two memory formats (below 1: ours is faster). The three sides
have a process each and work in turn; all compute the same network on the same numbers, which is checked before
anything is timed (``--rounds 0`` only checks). GFLOP/s counts a multiply-add as two and a training step as three
forwards; "of peak" is their share of what a large matrix product reaches on the same threads. MB is the most that a
training step holds, weights, gradients and velocities included. Run it on a machine that has nothing else to do:
PyTorch's threads wait for each other actively and lose most where they must share. Not a test: nothing here asserts.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import pickle
import re
import sys
import tempfile

import machine
import ours
import report
from recording import record
from sides import Side, SideError, both_sides, in_turn
from tqdm import tqdm
from workloads import MEMORY_BOUND, Work, all_work

AT_LEAST, LONGEST = 0.2, 60.0  # seconds of a round, and of all rounds of a line
PASSES = {"train": 3, "infer": 1, "forward": 1, "both": 3}  # in multiply-adds of a forward
# Relative, of the loss (of the output, where there is none) and of the length of all gradients. All sum in float32, in
# an order of their own: 4e-6 and 7e-4 were seen, the latter where ReLUs of a deep network switch.
AGREE = {"value": 1e-4, "gradients": 1e-2}
# Runs first in every process, so that libraries, thread pools and compiled kernels are there before memory is measured.
WARM_UP = Work(
    "warm-up",
    "Conv2d(4, 8, 3, padding=1), BatchNorm2d(8), ReLU(), MaxPool2d(2), Conv2d(8, 8, 3, padding=1, groups=8),"
    "LocalResponseNorm(5), ReLU6(), Conv2d(8, 8, 1, groups=2), AvgPool2d(2), AdaptiveAvgPool2d(1), Flatten(),"
    "Linear(8, 8), Dropout(0.5), Linear(8, 4)",
    (2, 4, 16, 16), "train",
)  # fmt: skip


class Bench:
    """The three sides, and what they are asked."""

    def __init__(self, threads: int, rounds: int, folder: pathlib.Path) -> None:
        self.sides: dict[str, Side] = both_sides(threads)
        self.rounds, self.folder, self.group = rounds, folder, None

    def measure(self, work: Work) -> dict:
        """A line's figures; raises SideError."""
        if work.group != self.group:
            self.stop()
            self.group = work.group
        program = self._record(work)
        agreement = self._prepare(work)
        if not self.rounds:
            return agreement
        megabytes = {}
        if work.measures_memory:
            megabytes = {name: side.ask("peak")["mb"] for name, side in self.sides.items()}
        seconds = in_turn(list(self.sides.values()), self.rounds, AT_LEAST, LONGEST)
        return agreement | report.figures(seconds, megabytes, 2 * PASSES[work.kind] * program["macs"])

    def _record(self, work: Work) -> dict:
        program = record(ours.build(work.request()).train(work.kind != "infer"), work.shape)
        (self.folder / work.kind).write_bytes(pickle.dumps(program))
        return program

    def _prepare(self, work: Work) -> dict:
        """Build on all sides, and see that they compute the same; gives the largest differences."""
        facts = {name: self._ask_to_prepare(side, work) for name, side in self.sides.items()}
        if facts["ours"]["compiled"] and work.measures_memory:  # the compiler's memory is not the step's
            self.sides["ours"].stop()
            facts["ours"] = self._ask_to_prepare(self.sides["ours"], work)
        off = {}
        for fact, tolerance in AGREE.items():
            values = {name: answer[fact] for name, answer in facts.items()}
            off[fact] = max(abs(v - values["ours"]) for v in values.values()) / (abs(values["ours"]) or 1.0)
            if not off[fact] <= tolerance:  # NaN is no agreement either
                raise SideError(f"not the same computation: {fact} {values}")
        return {"value": facts["ours"]["value"], "off": off}

    def _ask_to_prepare(self, side: Side, work: Work) -> dict:
        if side.process is None:
            self._record(WARM_UP)
            side.ask("prepare", work=WARM_UP.request(), program=str(self.folder / WARM_UP.kind))
            side.ask("run", at_least=0)
        self._record(work)
        return side.ask("prepare", work=work.request(), program=str(self.folder / work.kind))

    def stop(self) -> None:
        for side in self.sides.values():
            side.stop()


def chosen(options: argparse.Namespace) -> list[Work]:
    """Of all work, what the options name."""
    works = [w for w in all_work() if w.quick or not options.quick]
    kinds = {"train"} if options.train else {"infer"} if options.infer else {w.kind for w in works}
    return [w for w in works if w.kind in kinds and re.search(options.only, w.name)]


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="lines whose name this regular expression finds")
    parser.add_argument("--rounds", type=int, metavar="N", help="at most N (default 5, quick 3); 0: only check")
    parser.add_argument("--quick", action="store_true", help="a few lines, fewer rounds")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each side (default 2)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--train", action="store_true", help="training steps only")
    which.add_argument("--infer", action="store_true", help="inference only")
    parser.add_argument("--list", action="store_true", help="name the lines and end")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_name("bench.json"))
    options = parser.parse_args(arguments)
    options.rounds = (3 if options.quick else 5) if options.rounds is None else options.rounds
    if options.rounds < 0 or options.threads < 1:
        parser.error("--rounds must be at least 0, --threads at least 1")
    return options


def main() -> None:
    options = read_options()
    works = chosen(options)
    if options.list or not works:
        print("\n".join(w.name for w in works) or f"no line's name holds {options.only!r}; --list names them all")
        sys.exit(0 if works else 2)
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    facts = machine.facts(options.threads)
    facts["peaks"] = machine.peaks(options.threads)
    peak = max(facts["peaks"].values())
    print(report.head(facts), report.titles(), sep="\n", flush=True)
    results: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.threads, options.rounds, pathlib.Path(folder))
        try:
            for work in (bar := tqdm(works, unit="line", leave=False, disable=None)):
                bar.set_description(work.name)
                results.append({"name": work.name, "kind": work.kind, "bound": work.bound, **_measured(bench, work)})
                with tqdm.external_write_mode():
                    print(report.row(results[-1], peak), flush=True)
                options.out.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
        finally:
            bench.stop()
    print("\n" + report.summary(results, MEMORY_BOUND))
    print(f"\nWritten to {options.out}; in ratios, as Markdown: python benchmarks/report.py {options.out}")


def _measured(bench: Bench, work: Work) -> dict:
    try:
        return bench.measure(work)
    except (SideError, ValueError) as error:
        bench.stop()
        return {"error": str(error)}


if __name__ == "__main__":
    main()
