"""Microseconds of Python per operation, where there is almost nothing to compute: ``make bench-overhead``.

Two tables. Single operations on a few numbers, forward (a graph is built) and forward + backward, against PyTorch; and
the MLP 2-16-16-1 of micrograd's demo with a node for every number, against PyTorch and micrograd, as microseconds per
node. Each side has a process and one thread, they work in turn, and all must compute the same before they are timed.
micrograd has an environment of its own below ``--venvs``, as the peers of ``make bench-peers``, made with pip when it
is missing. Not a test: nothing here asserts on time.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import statistics
import sys

import machine
import peers
import scalars
from sides import Side, SideError, in_turn
from tiny import OPERATIONS
from tqdm import tqdm

HERE = pathlib.Path(__file__).parent
MICROGRAD = ["micrograd==0.1.0"]
AT_LEAST, LONGEST = 0.1, 30.0  # seconds of a round, and of all rounds of a line
AGREE = 1e-4  # relative; micrograd computes in float64, the others in float32
MLP = "micrograd's MLP, per node"
PASSES = {False: "forward", True: "forward + backward"}
SIDES = ("minicnn", "torch", "micrograd")


def lines() -> list[tuple[str, dict]]:
    """(name, request) of each line of the table."""
    single = [
        (f"{name} {PASSES[both]}", {"operation": name, "backward": both}) for name in OPERATIONS for both in PASSES
    ]
    return single + [(f"{MLP}, {PASSES[both]}", {"backward": both}) for both in PASSES]


def side(script: str, name: str, python: str = sys.executable) -> Side:
    return Side(name, [python, str(HERE / script), name], threads=1)


def measure(sides: dict[str, Side], request: dict, rounds: int) -> dict:
    """Microseconds of each side, once all have computed the same; raises SideError."""
    facts = {name: s.ask("prepare", **request) for name, s in sides.items()}
    for fact in ("value", "gradients"):
        values = {name: answer[fact] for name, answer in facts.items()}
        if not all(abs(v - values["minicnn"]) <= AGREE * (abs(values["minicnn"]) or 1.0) for v in values.values()):
            raise SideError(f"not the same computation: {fact} {values}")
    for s in sides.values():
        s.ask("run", at_least=AT_LEAST)  # the first runs are slower
    seconds = in_turn(list(sides.values()), rounds, AT_LEAST, LONGEST) if rounds else {}
    operations = 1 if "operation" in request else scalars.count()
    return {"us": {name: 1e6 * statistics.median(times) / operations for name, times in seconds.items()}}


def titles() -> str:
    return f"{'microseconds':<48}" + "".join(f"{name:>11}" for name in SIDES) + f"{'/ torch':>10}{'/ micrograd':>13}"


def row(name: str, result: dict) -> str:
    if "error" in result:
        return f"{name:<48}  failed: {result['error']}"
    if not (us := result["us"]):
        return f"{name:<48}  the same"
    times = "".join(f"{us[s]:>11.2f}" if s in us else " " * 11 for s in SIDES)
    ratios = (f"{us['minicnn'] / us[other]:.2f}" if other in us else "" for other in SIDES[1:])
    return f"{name:<48}{times}{next(ratios):>10}{next(ratios):>13}"


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", type=pathlib.Path, default=peers.VENVS, help="micrograd's (default %(default)s)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="lines whose name this regular expression finds")
    parser.add_argument("--rounds", type=int, default=5, help="at most so many; 0: only check that all agree")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "overhead.json")
    return parser.parse_args()


class Table:
    """The sides, started as they are needed, and what they gave."""

    def __init__(self, venvs: pathlib.Path, rounds: int) -> None:
        self.venvs, self.rounds = venvs, rounds
        self.single = {name: side("tiny.py", name) for name in ("minicnn", "torch")}
        self.graphs = {name: side("scalars.py", name) for name in ("minicnn", "torch")}

    def line(self, request: dict) -> dict:
        if "operation" in request:
            return self._measured(self.single, request)
        missing = None
        if "micrograd" not in self.graphs:
            try:
                python = str(peers.environment("micrograd", self.venvs, MICROGRAD))
                self.graphs["micrograd"] = side("scalars.py", "micrograd", python)
            except SideError as error:
                missing = str(error)
        result = self._measured(self.graphs, request)
        return result | ({"micrograd": missing} if missing else {})

    def _measured(self, sides: dict[str, Side], request: dict) -> dict:
        try:
            return measure(sides, request, self.rounds)
        except SideError as error:
            self.stop()
            return {"error": str(error)}

    def stop(self) -> None:
        for s in (*self.single.values(), *self.graphs.values()):
            s.stop()


def main() -> None:
    options = read_options()
    chosen = [(name, request) for name, request in lines() if re.search(options.only, name)]
    if not chosen:
        sys.exit(f"no line's name holds {options.only!r}; there are: " + ", ".join(name for name, _ in lines()))
    facts = machine.facts(threads=1)
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    print(f"{facts['cpu']}, 1 thread; load at the start {facts['load']:.1f}")
    print(f"Python {facts['python']}, {versions}, {MICROGRAD[0]}; {facts['when']}\n\n{titles()}", flush=True)
    table, results = Table(options.venvs, options.rounds), []
    try:
        for name, request in (bar := tqdm(chosen, unit="line", leave=False, disable=None)):
            bar.set_description(name)
            results.append({"name": name, **table.line(request)})
            with tqdm.external_write_mode():
                print(row(name, results[-1]), flush=True)
            options.out.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
    finally:
        table.stop()
    for reason in {r["micrograd"] for r in results if "micrograd" in r}:
        print(f"\nmicrograd {reason}")
    print(f"\nWritten to {options.out}")
    sys.exit("some sides differ or failed" if any("error" in r for r in results) else 0)


if __name__ == "__main__":
    main()
