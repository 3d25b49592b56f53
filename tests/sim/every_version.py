"""What tests of lessons share."""

from __future__ import annotations

import pytest

from minicnn import kernel_lessons
from minicnn.kernels.lessons import LESSONS, Version

VERSIONS = [(name, version.number) for name, lesson in LESSONS.items() for version in lesson.versions]
each_version = pytest.mark.parametrize("name, number", VERSIONS, ids=[f"{name}/{number}" for name, number in VERSIONS])


def version_of(name: str, number: int) -> Version:
    return kernel_lessons.find_version(LESSONS[name], number)
