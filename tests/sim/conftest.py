"""Tests that run CUDA kernels: on the simulator, which needs g++, and on a GPU where there is one."""

from __future__ import annotations

import pytest

from minicnn.kernels import sim
from minicnn.kernels.cuda import backend


def pytest_collection_modifyitems(items):
    """Where the simulator cannot run, nothing here can."""
    why = sim.why_not()
    for item in items:
        if why and "tests/sim/" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(params=["sim", "cuda"])
def device(request) -> str:
    """Each test once on the simulator and once on a GPU."""
    if request.param == "cuda":
        try:
            backend.array_module("cuda")
        except backend.DeviceMissing as error:
            pytest.skip(f"no GPU: {error}")
    return request.param
