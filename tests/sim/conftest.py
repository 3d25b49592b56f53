"""Tests that run CUDA kernels: on the simulator, which needs g++, and on a GPU where there is one.

Those of single kernels run on the device that MINICNN_TEST_DEVICE names, "sim" if it is not set (fixture ``xp``);
those of the framework run on both (fixture ``device``).
"""

from __future__ import annotations

import os

import pytest

from minicnn.kernels import sim
from minicnn.kernels.cuda import backend

DEVICE = os.environ.get("MINICNN_TEST_DEVICE", "sim")


def pytest_collection_modifyitems(items):
    """Where the simulator cannot run, nothing here can."""
    why = sim.why_not()
    for item in items:
        if why and "tests/sim/" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(params=["sim", "cuda"])
def device(request) -> str:
    """Each test once on the simulator and once on a GPU."""
    if request.param == "cuda" and (why := backend.why_not("cuda")):
        pytest.skip(f"no GPU: {why}")
    return request.param


@pytest.fixture(scope="session")
def xp():
    """The array module of the device; a device that was asked for by name and fails is a failure, not a skip."""
    return backend.array_module(DEVICE)


@pytest.fixture
def checked(xp):
    """Everything in this test runs under the simulator's checker: a finding raises KernelFault."""
    if DEVICE != "sim":
        pytest.skip("the checker is the simulator's")
    with sim.checking(True):
        yield
