"""An index that is far off: it must not pass because another array happens to lie there."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim.memory import Memory
from minicnn.kernels.sim.module import Module

ROW, ROWS = 32, 64
READS = """
extern "C" __global__ void k(const float* x, float* y, long long offset) {
    y[threadIdx.x] = x[threadIdx.x + offset];
}"""


def addresses(memory: Memory) -> range:
    return range(memory.address, memory.address + memory.nbytes)


def filled(nbytes: int, checked: bool = True) -> Memory:
    memory = Memory(nbytes, checked)
    memory.buffer[:] = bytes(nbytes)
    memory.mark()
    return memory


@pytest.mark.parametrize("others", [0, 3], ids=["alone", "among other arrays"])
@pytest.mark.parametrize("rows", [1, 3, ROWS, 5 * ROWS, 10 * ROWS, -1, -7, -2 * ROWS, -11 * ROWS])
def test_off_by_rows(rows, others):
    """From one row to ten times the array, to both sides, with arrays made before and after: found, with its line."""
    module = Module(READS, "mine.cu", check=True)
    nbytes = ROWS * ROW * 4
    around = [filled(nbytes) for _ in range(others)]
    x = filled(nbytes)
    y = filled(nbytes)
    around += [filled(nbytes) for _ in range(others)]
    offset = rows * ROW + (ROWS - 1) * ROW if rows > 0 else rows * ROW
    with pytest.raises(sim.KernelFault) as caught:
        module.launch("k", (1,), (ROW,), [x.address, y.address, struct.pack("q", offset)])
    fault = caught.value
    assert fault.kind == "out of bounds" and fault.line == 3, str(fault)
    away = (rows - 1) * ROW * 4 if rows > 0 else -rows * ROW * 4
    side = "behind the end" if rows > 0 else "before the beginning"
    assert f"{away} bytes {side} of argument 0, an array of {nbytes} bytes" in str(fault)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("nbytes", [1, 100, 70_000, 9_000_000])
def test_gaps(nbytes, checked):
    """No array lies within ten times its size of another one, and not within 64 MB, old places used again or not."""
    made = [Memory(nbytes, checked) for _ in range(6)]
    del made[1], made[2]
    made += [Memory(nbytes, checked) for _ in range(4)]
    made.sort(key=lambda memory: memory.address)
    for low, high in zip(made, made[1:]):
        assert addresses(high).start - addresses(low).stop >= max(10 * nbytes, 2**26)


def test_a_far_index_without_the_checker():
    """Also at full speed, an index that is off by ten arrays is a fault: there are no pages."""
    around = [np.zeros(ROWS * ROW, np.float32) for _ in range(5)]
    text = READS.replace("long long offset)", "long long offset, float* a, float* b, float* c)")
    for offset in (ROWS * ROW + 1024, 10 * ROWS * ROW, -ROWS * ROW):
        with pytest.raises(sim.KernelFault) as caught:
            sim.launch(text, "k", 1, ROW, [*around[:2], offset, *around[2:]], check=False)
        assert caught.value.kind == "out of bounds" and caught.value.line == 3


def test_an_array_that_was_not_given():
    """An index that leads into another array, however far away: it names the argument that it is nearest to."""
    module = Module(READS, "mine.cu", check=True)
    x, y, other = filled(4096), filled(128), filled(512)
    offset = (other.address - x.address) // 4
    with pytest.raises(sim.KernelFault) as caught:
        module.launch("k", (1,), (ROW,), [x.address, y.address, struct.pack("q", offset)])
    assert caught.value.kind == "out of bounds" and caught.value.line == 3
    assert "read of 4 bytes in an array of 512 bytes that the kernel was not given: " in str(caught.value)
    assert " of argument " in str(caught.value)


POINTERS = {
    "a list of pointers": """
extern "C" __global__ void k(float** rows, float* y) { y[threadIdx.x] = rows[threadIdx.x / 16][threadIdx.x % 16]; }
""",
    "pointers to pointers": """
struct Node { float* values; Node* next; };
extern "C" __global__ void k(Node* list, float* y) {
    Node* node = threadIdx.x / 16 ? list->next : list;
    y[threadIdx.x] = node->values[threadIdx.x % 16];
}""",
}


@pytest.mark.parametrize("what", POINTERS)
def test_pointers_in_memory(what):
    """Arrays that a kernel reaches by a pointer that lies in one of its arrays are its own."""
    module = Module(POINTERS[what], "mine.cu", check=True)
    values = [filled(64), filled(64)]
    for i, memory in enumerate(values):
        memory.buffer[:] = np.full(16, i + 1, np.float32).tobytes()
    first, second, y = filled(16), filled(16), filled(128)
    if what == "a list of pointers":
        first.buffer[:] = struct.pack("QQ", values[0].address, values[1].address)
    else:
        first.buffer[:] = struct.pack("QQ", values[0].address, second.address)
        second.buffer[:] = struct.pack("QQ", values[1].address, 0)
    module.launch("k", (1,), (32,), [first.address, y.address])
    np.testing.assert_array_equal(np.frombuffer(y.buffer, np.float32), np.repeat([1, 2], 16))


def test_a_pointer_kept_in_a_device_variable():
    """And by one that an earlier launch has left in a variable of the file; one in a struct is an argument."""
    module = Module("""
struct View { long long size; float* data; };
__device__ float* kept;
extern "C" __global__ void keep(View v) { kept = v.data; v.data[0] = 1; }
extern "C" __global__ void use(float* y) { y[threadIdx.x] = kept[threadIdx.x]; }
""", "mine.cu", check=True)  # fmt: skip
    x, y = filled(64), filled(64)
    x.buffer[:] = np.arange(16, dtype=np.float32).tobytes()
    module.launch("keep", (1,), (1,), [struct.pack("qQ", 16, x.address)])
    module.launch("use", (1,), (16,), [y.address])
    np.testing.assert_array_equal(np.frombuffer(y.buffer, np.float32), [1, *range(1, 16)])


def test_few_addresses():
    """Where a process may use few addresses (ulimit -v), the gaps give way before arrays do."""
    code = (
        "import resource; from minicnn.kernels.sim.memory import Memory; Memory(8, True); "
        f"resource.setrlimit(resource.RLIMIT_AS, (2**33, {resource.RLIM_INFINITY})); "
        "kept = [Memory(1000, c) for c in (True, False) for _ in range(500)]; print(len(kept))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "1000\n", done.stderr
