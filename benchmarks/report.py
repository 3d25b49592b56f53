"""From seconds to the table: ``python report.py bench.json`` prints a finished run again, in ratios, as Markdown."""

from __future__ import annotations

import json
import pathlib
import statistics
import sys

OURS, FORMATS = "ours", ("torch contiguous", "torch channels_last")
BUSY = ": BUSY, the figures below say little"
WIDTH = 48
COLUMNS = (  # heading, width
    ("work", WIDTH), ("ours ms", 9), ("contig. ms", 11), ("ch.last ms", 11), ("ratio", 7), ("spread", 12), ("bound", 7),
    ("GFLOP/s", 9), ("of peak", 8), ("MB", 7), ("memory", 8),
)  # fmt: skip


def figures(seconds: dict[str, list[float]], megabytes: dict[str, float | None], flops: int) -> dict:
    """What a line shows, from each side's seconds per round and its peak memory.

    The ratio is that of the medians, to PyTorch's better format; the spread, the least and largest ratio to that format
    within one round. Memory is compared with the format that needs less.
    """
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    better = min(FORMATS, key=medians.get)
    by_round = [a / b for a, b in zip(seconds[OURS], seconds[better], strict=True)]
    line = {
        "ms": {side: 1e3 * t for side, t in medians.items()},
        "rounds": len(by_round),
        "ratio": medians[OURS] / medians[better],
        "lowest": min(by_round),
        "highest": max(by_round),
        "gflops": flops / medians[OURS] / 1e9 if flops else None,
        "megabytes": megabytes,
        "memory_ratio": None,
    }
    if megabytes and None not in megabytes.values():
        line["memory_ratio"] = megabytes[OURS] / max(1e-9, min(megabytes[f] for f in FORMATS))
    return line


def head(facts: dict) -> str:
    """The machine, in a few lines."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    peaks = ", ".join(f"{gflops:.0f} ({library})" for library, gflops in facts["peaks"].items())
    return (
        f"{facts['cpu']}, {facts['threads']} of {facts['cores']} threads, float32; load at the start "
        f"{facts['load']:.1f}{BUSY if facts['load'] > 1 else ''}\n"
        f"Python {facts['python']}, {versions}; {facts['when']}\n"
        f"Peak of a large matrix product, GFLOP/s: {peaks}\n"
    )


def titles() -> str:
    return "".join(f"{name:<{width}}" if name == "work" else f"{name:>{width}}" for name, width in COLUMNS)


def row(result: dict, peak: float) -> str:
    """One line of the wide table."""
    if "error" in result:
        return f"{result['name']:<{WIDTH}}  failed: {result['error']}"
    if "ms" not in result:
        off = ", ".join(f"{fact} {value:.1e}" for fact, value in result["off"].items())
        return f"{result['name']:<{WIDTH}}  the same: {result['value']:.6g}, off by {off}"
    ms, megabytes = result["ms"], result["megabytes"].get(OURS)
    cells = [
        *(f"{ms[side]:.2f}" for side in (OURS, *FORMATS)),
        f"{result['ratio']:.2f}",
        f"{result['lowest']:.2f}-{result['highest']:.2f}",
        _number(result["bound"], ".1f"),
        _number(result["gflops"], ".0f"),
        _number(result["gflops"], ".0%", peak),
        _number(megabytes, ".0f"),
        _number(result["memory_ratio"], ".2f"),
    ]
    return f"{result['name']:<{WIDTH}}" + "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS[1:]))


def _number(value: float | None, form: str, unit: float = 1.0) -> str:
    return "" if value is None else format(value / unit, form)


def summary(results: list[dict], memory_bound: float) -> str:
    """How many lines keep their bounds, and which do not."""
    timed = [r for r in results if r.get("bound") is not None and "ratio" in r]
    slow = [f"{r['name']} {r['ratio']:.2f} > {r['bound']}" for r in timed if r["ratio"] > r["bound"]]
    weighed = [r for r in results if r.get("memory_ratio") is not None]
    large = [f"{r['name']} {r['memory_ratio']:.2f}" for r in weighed if r["memory_ratio"] > memory_bound]
    failed = [r["name"] for r in results if "error" in r]
    lines = [f"{len(timed) - len(slow)} of {len(timed)} lines keep their bound on time"]
    lines += [f"  slower: {s}" for s in slow]
    lines += [f"{len(weighed) - len(large)} of {len(weighed)} keep the bound {memory_bound} on memory"]
    lines += [f"  larger: {s}" for s in large]
    return "\n".join(lines + ([f"failed: {', '.join(failed)}"] if failed else []))


def markdown(run: dict) -> str:
    """Ratios alone, to be put into a page."""
    peak = max(run["machine"]["peaks"].values())
    lines = ["| work | time / PyTorch's | spread | of BLAS peak | memory / PyTorch's |", "|---|---|---|---|---|"]
    for r in run["results"]:
        if "ms" not in r:
            lines.append(f"| {r['name']} | not timed | | | |")
            continue
        share, memory = _number(r["gflops"], ".0%", peak), _number(r["memory_ratio"], ".2f")
        lines.append(f"| {r['name']} | {r['ratio']:.2f} | {r['lowest']:.2f}-{r['highest']:.2f} | {share} | {memory} |")
    return "\n".join(lines)


if __name__ == "__main__":
    finished = json.loads(pathlib.Path(sys.argv[1]).read_text())
    print(head(finished["machine"]), markdown(finished), sep="\n")
