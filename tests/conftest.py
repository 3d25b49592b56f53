"""What all tests share: a fixed start for random numbers, and no room or replacement left behind."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import settings

import minicnn as mc
from minicnn.kernels import rooms

settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.load_profile("reproducible")


@pytest.fixture(autouse=True)
def fresh_state():
    """Every test starts from seed 0 and in the room that the environment chose."""
    room = rooms._chosen
    mc.manual_seed(0)
    yield
    rooms._chosen = room


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pytest_sessionfinish(session, exitstatus):
    """`make check` installs everything, so there a skipped test means that something is missing: anything but a GPU."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MINICNN_FORBID_SKIPS") and reporter is not None:
        skipped = [report for report in reporter.stats.get("skipped", ()) if "no GPU:" not in str(report.longrepr)]
        if skipped:
            session.exitstatus = 1
