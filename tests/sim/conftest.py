"""The device that these tests run on: the simulator, or a GPU where MINICNN_TEST_DEVICE=cuda says so."""

from __future__ import annotations

import os

import pytest

from minicnn.kernels.cuda import backend

DEVICE = os.environ.get("MINICNN_TEST_DEVICE", "sim")


@pytest.fixture(scope="session")
def xp():
    """The array module of the device; a device that was asked for by name and fails is a failure, not a skip."""
    why = backend.why_not(DEVICE)
    if why and DEVICE == "sim":
        pytest.skip(why)
    return backend.array_module(DEVICE)


@pytest.fixture
def checked(xp):
    """Everything in this test runs under the simulator's checker: a finding raises KernelFault."""
    if DEVICE != "sim":
        pytest.skip("the checker is the simulator's")
    from minicnn.kernels import sim

    with sim.checking(True):
        yield
