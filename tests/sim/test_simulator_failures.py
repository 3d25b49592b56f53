"""After whatever goes wrong the simulator works as before: hangs, Ctrl-C, faults before a barrier, threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import module as modules
from minicnn.kernels.sim.memory import LOCK, Memory
from minicnn.kernels.sim.module import Module

REDUCE = """
extern "C" __global__ void k(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    for (int d = 32; d; d /= 2) {
        if (threadIdx.x < d) s[threadIdx.x] += s[threadIdx.x + d];
        __syncthreads();
    }
    y[blockIdx.x] = s[0];
}"""


RACE = REDUCE.replace("s[0];", "s[0] + threadIdx.x;")


def works() -> None:
    """A kernel with barriers gives the right sum, with and without the checker."""
    text = REDUCE.replace("y[blockIdx.x] = s[0];", "if (threadIdx.x == 0) y[blockIdx.x] = s[0];")
    for check in (True, False):
        y = np.zeros(5, np.float32)
        sim.launch(text, "k", 5, 64, [y], check=check)
        np.testing.assert_array_equal(y, 2016)


HANGS = {
    "an empty loop": "volatile int i = 0; while (i == 0) {}",
    "at a barrier": "for (;;) __syncthreads();",
    "at a shuffle": "for (;;) y[threadIdx.x] += __shfl_xor_sync(0xffffffffu, 1.f, 1);",
    "in the C library": "volatile double x = 2; for (;;) x = pow(x, 1.00001) - log(x) + tanh(x);",
    "with memory": "for (long long i = 0;; ++i) y[threadIdx.x] += i;",
    "after some threads have ended": "if (threadIdx.x < 32) return; volatile int i = 0; while (i == 0) {}",
    "waiting for a flag": "while (atomicAdd((int*)y, 0) == 0) {}",
}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("what", HANGS)
def test_a_hang_is_ended(what, check):
    """Wherever it loops, after the time it was given, in one or several workers; and the next launch works."""
    text = f'extern "C" __global__ void k(float* y) {{\n    {HANGS[what]}\n}}'
    begin = time.process_time()
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "k", 4, 64, [np.zeros(64, np.float32)], check=check, seconds=0.2, filename="loop.cu")
    fault = caught.value
    assert fault.kind == "hang" and "has computed for 0.2 seconds" in str(fault)
    assert time.process_time() - begin < 10
    if "library" not in what:
        assert fault.line == 2, str(fault)
    works()


def test_a_limit_by_environment(monkeypatch):
    monkeypatch.setenv("MINICNN_SIM_SECONDS", "0.1")
    with pytest.raises(sim.KernelFault, match="has computed for 0.1 seconds"):
        sim.launch(
            'extern "C" __global__ void k(volatile int* y) { while (*y == 0) {} }', "k", 1, 1, [np.zeros(1, np.int32)]
        )


def test_the_work_of_other_threads_is_no_hang():
    """The clock is that of the kernel's own thread: a busy program around it does not make a short kernel hang."""
    stop = threading.Event()

    def busy():
        x = np.random.default_rng(0).normal(size=(300, 300))
        while not stop.is_set():
            x @ x  # without Python's lock

    others = [threading.Thread(target=busy) for _ in range(2)]
    for thread in others:
        thread.start()
    try:
        begin = time.process_time()
        while time.process_time() - begin < 0.6:
            sim.launch(REDUCE.replace("y[blockIdx.x]", "if (threadIdx.x == 0) y[blockIdx.x]"), "k", 50, 64,
                       [np.zeros(50, np.float32)], seconds=0.5)  # fmt: skip
    finally:
        stop.set()
        for thread in others:
            thread.join()


@pytest.mark.parametrize("what", [
    "assert(threadIdx.x != 40);",
    "if (threadIdx.x == 40) y[1ll << 40] = 1;",
    "if (threadIdx.x == 40) { volatile int none = 0; y[0] = y[5] / none; }",
    "if (threadIdx.x == 40) __trap();",
], ids=["assertion", "far away", "division", "trap"])  # fmt: skip
@pytest.mark.parametrize("check", [True, False])
def test_a_fault_before_a_barrier(what, check):
    """Threads that wait at a barrier are left behind when another one fails; nobody waits for them."""
    for order in ("forward", "backward", "shuffled"):
        with pytest.raises(sim.KernelFault) as caught:
            text = f'extern "C" __global__ void k(int* y) {{ {what}\n    __syncthreads();\n    y[threadIdx.x] = 1; }}'
            sim.launch(text, "k", 3, 64, [np.zeros(64, np.int32)], check=check, order=order)
        assert caught.value.line == 1 and caught.value.thread == (40, 0, 0), str(caught.value)
        works()


def test_faults_of_several_workers(monkeypatch):
    """Many blocks fail at once, on several workers; one is told, whole."""
    monkeypatch.setattr(modules, "_workers", 4)
    text = """
extern "C" __global__ void k(float* y, int n) {
    volatile float x = 0;
    for (int i = 0; i < n; ++i) x += i;
    assert(blockIdx.x < 3 && "a | in it");
    y[blockIdx.x] = x;
}"""
    for _ in range(20):
        with pytest.raises(sim.KernelFault) as caught:
            sim.launch(text, "k", 100, 8, [np.zeros(100, np.float32), 20000], check=False)
        fault = caught.value
        assert fault.kind == "assertion" and fault.line == 5 and fault.block[0] >= 3 and '"a | in it"' in str(fault)
    works()


def test_results_do_not_depend_on_workers(monkeypatch):
    text = """
extern "C" __global__ void k(double* y, int n) {
    double x = blockIdx.x;
    for (int i = 0; i < n; ++i) x = x * 0.999 + threadIdx.x;
    y[blockIdx.x * blockDim.x + threadIdx.x] = x;
}"""
    results = []
    for workers in (1, 2, 7):
        monkeypatch.setattr(modules, "_workers", workers)
        y = np.zeros(200 * 32)
        sim.launch(text, "k", 200, 32, [y, 500], check=False)
        results.append(y)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_launches_from_several_threads():
    """They take turns, each with its own result, faults among them."""
    errors, faults = [], []

    def work(number: int) -> None:
        try:
            for i in range(30):
                works()
                if i % 10 == number:
                    with pytest.raises(sim.KernelFault):
                        sim.launch(RACE, "k", 2, 64, [np.zeros(2, np.float32)])
                    faults.append(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and sorted(faults) == sorted(list(range(4)) * 3)


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
from minicnn.kernels import sim
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have had it ignored
sys.path.insert(0, {here!r})
from test_simulator_failures import works
works()
check = {check}
threading.Thread(target=lambda: (time.sleep(0.7), os.kill(os.getpid(), signal.SIGINT))).start()
begin = time.time()
try:
    text = 'extern "C" __global__ void k(volatile int* y) {{ while (*y == 0) {{}} }}'
    sim.launch(text, "k", 4, 32, [np.zeros(1, np.int32)], check=check)
except KeyboardInterrupt:
    print("interrupted", time.time() - begin < 20)
works()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("and Python as before")
"""


@pytest.mark.parametrize("check", [True, False])
def test_ctrl_c(check):
    """It ends a kernel at once, also an endless one, and leaves the simulator and Python's handler as they were."""
    code = INTERRUPTED.format(here=os.path.dirname(__file__), check=check)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == ["interrupted True", "and Python as before"], done.stderr


def test_signal_handlers_are_left_as_they_were():
    """Whoever has handlers of their own, such as faulthandler, finds them after a launch, a fault, a hang."""
    seen = []
    before = signal.signal(signal.SIGVTALRM, lambda *_: seen.append(1))
    try:
        works()
        with pytest.raises(sim.KernelFault):
            text = 'extern "C" __global__ void k(float* y) { y[1ll << 40] = 1; }'
            sim.launch(text, "k", 1, 1, [np.zeros(1, np.float32)], check=False)
        signal.raise_signal(signal.SIGVTALRM)
        assert seen == [1]
    finally:
        signal.signal(signal.SIGVTALRM, before)


def test_a_crash_elsewhere_stays_a_crash():
    """A fault of the hardware outside of a kernel is not the simulator's: the process dies of it as always."""
    code = (
        "import ctypes, sys; sys.path.insert(0, {!r}); from test_simulator_failures import works; works(); "
        "ctypes.string_at(8); print('survived')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code.format(os.path.dirname(__file__))], capture_output=True, timeout=100, check=False
    )
    assert done.returncode == -signal.SIGSEGV and not done.stdout


def test_freed_memory():
    """An address that outlived its array: use after free, whatever came after."""
    module = Module('\nextern "C" __global__ void k(float* y) { y[threadIdx.x] = 1; }', "mine.cu", check=True)
    gone = Memory(128, True)
    address = gone.address
    del gone
    others = [Memory(128, True) for _ in range(20)]
    assert all(m.address != address for m in others)
    with pytest.raises(sim.KernelFault) as caught:
        module.launch("k", (1,), (32,), [address])
    assert caught.value.kind == "use after free" and caught.value.line == 2
    assert "128 bytes that has been freed" in str(caught.value)
    works()


def test_marking_more_than_there_is():
    """Bytes behind the end are nobody's: what lies there stays as it is."""
    memory = Memory(64, True)
    memory.mark(32, 2**20)
    works()


def test_memory_that_is_not_there():
    """A size that no machine has is one Python error."""
    for checked in (True, False):
        with pytest.raises(MemoryError, match="the simulator has no 1152921504606846976 bytes"):
            Memory(2**60, checked)


def test_memory_comes_and_goes():
    """Thousands of arrays, freed by Python's collector, leave nothing behind."""

    def resident():
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    def use():
        for _ in range(300):
            for checked in (True, False):
                memory = Memory(200_000, checked)
                np.frombuffer(memory.buffer, np.uint8)[:] = 1

    use()
    before = resident()
    use()
    assert resident() - before < 20e6


def test_the_lock_is_free_after_a_fault():
    with pytest.raises(sim.KernelFault):
        sim.launch(RACE, "k", 2, 64, [np.zeros(2, np.float32)])
    got = []
    thread = threading.Thread(target=lambda: got.append(LOCK.acquire(timeout=5)) or (got[-1] and LOCK.release()))
    thread.start()
    thread.join()
    assert got == [True]
