"""The table that all drawn calls are entered in."""

from __future__ import annotations

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function
