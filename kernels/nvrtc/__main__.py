"""``python -m minicnn.kernels.nvrtc FILE [--write]``: compile all kernels, and compare with stored figures or store."""

from __future__ import annotations

import argparse
import sys

from . import baseline, library
from .gate import compile_all, findings, programs


def main() -> int:
    """Status 0: nothing is wrong, or the figures were stored."""
    from .. import cuda, lessons
    from ..lessons.launches import record_launches

    parser = argparse.ArgumentParser(prog="python -m minicnn.kernels.nvrtc", description=__doc__.partition(": ")[2])
    parser.add_argument("file", help="stored figures, such as tests/gpu/resources.json")
    parser.add_argument("--write", action="store_true", help="store what there is now")
    parser.add_argument("--lessons", action="store_true", help="the kernels of the lessons, not those of kernels/cuda")
    options = parser.parse_args()
    if why := library.why_not():
        parser.error(why)
    kernels = (lessons if options.lessons else cuda).declared()
    seen = record_launches() if options.lessons else baseline.record_launches()
    table = compile_all(programs(kernels))
    stored = {} if options.write else baseline.occupancies(options.file)
    found = [f for f in findings(table, seen, stored) if not (options.write and f.endswith("store it"))]
    if options.write and not found:
        baseline.write(options.file, table, seen)
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(table)} kernels, {len(library.architectures())} architectures: {len(found) or 'no'} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
