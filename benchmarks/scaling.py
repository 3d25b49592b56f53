"""How the cost of a training step grows, and how near the machine's roof convolutions are: ``make bench-scaling``.

Time and peak memory of a step (forward, backward, SGD with momentum) against batch, image size, depth and threads, ours
and PyTorch's in the better of its two memory formats, as ``bench.py`` measures them; then the forward of each
convolution of three models. One page of plots (``--plot``), all figures as JSON beside it, and the fitted exponents as
sentences: the slope of log(time) over log(batch). Takes about an hour; ``--quick`` is for the tests. Run it on a
machine that has nothing else to do. Not a test: nothing here asserts on time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import sys
import tempfile

import machine
import report
import scaling_page
from bench import Bench
from scaling_work import Convolution, Point, convolutions, points
from sides import SideError
from tqdm import tqdm

FORMATS = report.FORMATS


def figures(line: dict) -> dict:
    """Of a line of ``bench.py``: milliseconds and MB, ours and the better (the smaller) of PyTorch's formats."""
    ms, mb = line["ms"], line["megabytes"]
    known = bool(mb) and None not in mb.values()
    return {
        "ms": {"ours": ms["ours"], "PyTorch": min(ms[f] for f in FORMATS)},
        "mb": {"ours": mb["ours"], "PyTorch": min(mb[f] for f in FORMATS)} if known else None,
    }


def exponent(xs: list[float], ys: list[float]) -> float:
    """The slope of log(y) over log(x), by least squares: y grows like x^slope."""
    u, v = [math.log(x) for x in xs], [math.log(y) for y in ys]
    u0, v0 = sum(u) / len(u), sum(v) / len(v)
    return sum((a - u0) * (b - v0) for a, b in zip(u, v)) / sum((a - u0) ** 2 for a in u)


def sentences(steps: list[dict]) -> list[str]:
    """How time and memory grow along each curve that has two points at least."""
    said = []
    for axis, curve in dict.fromkeys((s["axis"], s["curve"]) for s in steps):
        line = [s for s in steps if (s["axis"], s["curve"]) == (axis, curve) and "error" not in s]
        xs = [s["value"] for s in line]
        if len(line) < 2:
            continue
        parts = []
        for quantity, name in (("ms", "time"), ("mb", "memory")):
            if axis == "threads" and quantity == "mb" or any(s[quantity] is None for s in line):
                continue
            own, other = (exponent(xs, [s[quantity][side] for s in line]) for side in ("ours", "PyTorch"))
            parts.append(f"{name} {'grows' if own >= 0 else 'falls'} like {axis}^{own:.2f} (PyTorch's {other:.2f})")
        said.append(f"{curve}, {axis} {xs[0]} to {xs[-1]}: {', '.join(parts)}")
    return said


class Runs:
    """``Bench`` for any number of threads, one at a time."""

    def __init__(self, threads: int, rounds: int, folder: pathlib.Path) -> None:
        self.threads, self.rounds, self.folder, self.bench, self.now = threads, rounds, folder, None, None

    def measure(self, work, threads: int | None) -> dict:
        """A line's figures, or {"error": why there are none}."""
        threads = threads or self.threads
        if threads != self.now:
            self.stop()
            self.bench, self.now = Bench(threads, self.rounds, self.folder), threads
        try:
            return self.bench.measure(work)
        except (SideError, ValueError) as error:
            self.bench.stop()
            return {"error": str(error)}

    def stop(self) -> None:
        if self.bench is not None:
            self.bench.stop()


def step(runs: Runs, point: Point) -> dict:
    line = runs.measure(point.work, point.threads)
    about = {"axis": point.axis, "curve": point.curve, "value": point.value}
    return about | ({"error": line["error"]} if "error" in line else figures(line))


def convolution(runs: Runs, layer: Convolution) -> dict:
    line = runs.measure(layer.work, None)
    about = {"model": layer.model, "name": layer.work.name, "flop_per_byte": layer.intensity}
    if "error" in line:
        return about | {"error": line["error"]}
    return about | {"gflops": {side: layer.flops / ms / 1e6 for side, ms in figures(line)["ms"].items()}}


def row(name: str, result: dict) -> str:
    if "error" in result:
        return f"{name:<64}  failed: {result['error']}"
    if "gflops" in result:
        own, other = result["gflops"].values()
        return f"{name:<64}{own:>9.1f}{other:>9.1f} GFLOP/s at {result['flop_per_byte']:.1f} FLOP/byte"
    memory = "" if result["mb"] is None else "{:>9.0f}{:>9.0f} MB".format(*result["mb"].values())
    return f"{name:<64}{result['ms']['ours']:>9.2f}{result['ms']['PyTorch']:>9.2f} ms{memory}"


def read_options() -> argparse.Namespace:
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few small steps, one round: only to see that it runs")
    parser.add_argument("--rounds", type=int, help="at most so many (default 3; quick 1)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each side (default: all cores)")
    parser.add_argument("--out", type=pathlib.Path, default=here / "scaling.json")
    parser.add_argument("--plot", type=pathlib.Path, default=here.parent / "docs" / "scaling.png")
    options = parser.parse_args()
    options.rounds = (1 if options.quick else 3) if options.rounds is None else options.rounds
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return options


def main() -> None:
    options = read_options()
    steps, layers = points(options.quick), convolutions(options.quick)
    most = max([options.threads, *(p.threads or 1 for p in steps)])
    os.environ["NUMBA_NUM_THREADS"] = str(most)
    facts = machine.facts(options.threads)
    facts["peaks"], facts["copy"] = machine.peaks(options.threads), machine.bandwidth(options.threads)
    run = {"machine": facts, "steps": [], "convolutions": []}
    print(report.head(facts) + f"Copying a large array moves {facts['copy']:.1f} GB/s\n")
    print(f"{'':<64}{'ours':>9}{'PyTorch':>9}", flush=True)
    todo = [(p.work.name, "steps", step, p) for p in steps]
    todo += [(c.work.name, "convolutions", convolution, c) for c in layers]
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(options.threads, options.rounds, pathlib.Path(folder))
        try:
            for name, kind, measure, what in (bar := tqdm(todo, unit="point", leave=False, disable=None)):
                bar.set_description(name)
                run[kind].append(measure(runs, what))
                with tqdm.external_write_mode():
                    print(row(name, run[kind][-1]), flush=True)
                options.out.write_text(json.dumps(run, indent=1) + "\n")
        finally:
            runs.stop()
    run["sentences"] = sentences(run["steps"])
    options.out.write_text(json.dumps(run, indent=1) + "\n")
    scaling_page.page(run, options.plot)
    print("\n" + "\n".join(run["sentences"]))
    print(f"\nWritten to {options.out} and {options.plot}")
    sys.exit("some points failed" if any("error" in r for r in run["steps"] + run["convolutions"]) else 0)


if __name__ == "__main__":
    main()
