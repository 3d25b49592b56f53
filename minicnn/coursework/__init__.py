"""Coursework: exercises that grade themselves. ``minicnn coursework list | check | grade | release``.

An exercise is a folder in ``exercises/``; README.md beside this file says how one is written. What a student hands in
runs in a process of its own (``child.py``, ``guard.py``); what is expected never goes there.
"""

from __future__ import annotations

from .exercise import Exercise
from .judging import Wrong, as_numbers, close
from .process import SubmissionError
from .student import Student

__all__ = ["Exercise", "Student", "SubmissionError", "Wrong", "as_numbers", "close"]
