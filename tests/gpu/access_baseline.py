"""How our kernels use memory, written down: ``access.json``, which no change may make worse.

python tests/gpu/access_baseline.py           compares
python tests/gpu/access_baseline.py --write   writes down what is the case now
"""

from __future__ import annotations

import json
import pathlib
import sys

from minicnn import kernels
from minicnn.kernels.access import Report, report_on
from minicnn.kernels.workloads import workloads

FILE = pathlib.Path(__file__).with_name("access.json")
EFFICIENCY, RATIO, CONFLICT = 0.005, 0.005, 0.01  # what is taken for equal: random numbers decide who wins a window


def figures(report: Report) -> dict:
    """What is written down of one call: its bytes, and for each kernel and kind of access what the lines add up to."""
    accesses: dict[str, list] = {}
    for launch in report.launches:
        for line in launch.lines:
            name = f"{launch.kernel.partition('<')[0]}: {line.space} {line.kind}"
            accesses.setdefault(name, []).append(line)
    return {
        "ratio": round(report.ratio, 4),
        "accesses": {name: _together(lines) for name, lines in sorted(accesses.items())},
    }


def _together(lines: list) -> dict:
    if lines[0].space == "shared":
        mean = sum(line.turns for line in lines) / sum(line.least_turns for line in lines)
        return {"conflict": round(mean, 4), "worst": max(line.worst_conflict for line in lines)}
    return {"efficiency": round(sum(line.least_sectors for line in lines) / sum(line.sectors for line in lines), 4)}


def measure(name: str) -> dict[str, dict]:
    """The figures of a kernel, by workload."""
    return {workload.title: figures(report_on(workload)) for workload in workloads(name)}


def worse(name: str, now: dict[str, dict], before: dict[str, dict]) -> list[str]:
    """What is worse than it was, or unknown, in words."""
    if now.keys() != before.keys():
        return [f"{name}: the workloads are {', '.join(now)}, written down are {', '.join(before)}: write them anew"]
    found = []
    for title, new in now.items():
        old, where = before[title], f"{name} on {title}"
        if new["ratio"] > old["ratio"] + RATIO:
            found.append(f"{where}: moves {new['ratio']} times the least bytes, it was {old['ratio']}")
        for access, numbers in new["accesses"].items():
            known = old["accesses"].get(access)
            if known is None:
                found.append(f"{where}: {access} is new: write it down")
                continue
            for what, slack in (("efficiency", -EFFICIENCY), ("conflict", CONFLICT), ("worst", 0)):
                if what not in numbers:
                    continue
                beyond = numbers[what] - known[what] - slack
                if beyond < 0 if what == "efficiency" else beyond > 0:
                    found.append(f"{where}: {access}: {what} is {numbers[what]}, it was {known[what]}")
    return found


def read() -> dict[str, dict[str, dict]]:
    """kernel -> workload -> figures"""
    return json.loads(FILE.read_text(encoding="utf-8"))


def write(found: dict) -> None:
    """A line for each workload."""
    parts = []
    for name, by_workload in found.items():
        rows = [f"  {json.dumps(title)}: {json.dumps(numbers)}" for title, numbers in by_workload.items()]
        parts.append(f' "{name}": {{\n' + ",\n".join(rows) + "\n }")
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> int:
    """0: nothing is worse."""
    found = {name: measure(name) for name in kernels.KERNELS}
    if "--write" in sys.argv:
        write(found)
        return 0
    before = read()
    complaints = [text for name in found for text in worse(name, found[name], before.get(name, {}))]
    print("\n".join(complaints) or "nothing is worse")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
