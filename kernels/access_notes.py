"""Where our kernels miss the aims of the access report, and why: a text for each, shown by ``minicnn kernels report``.

A test holds this list against the report: whatever misses an aim is explained here, and nothing else is.
"""

from __future__ import annotations

#: of all accesses to global memory; bytes moved for each that has to be; words of one bank in one request
EFFICIENCY, RATIO, CONFLICT = 0.90, 1.15, 2

NOTES = {}
