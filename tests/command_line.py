"""Running ``minicnn ...`` inside a test."""

from __future__ import annotations

from minicnn import cli


def command(*arguments) -> int:
    """The exit status."""
    try:
        cli.main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code
    return 0
