"""The cpu room as a process meets it: the cache on disk, threading layers, no compiler, every kernel compiled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

import minicnn  # noqa: E402
from minicnn import kernels  # noqa: E402

KERNELS_FOLDER = Path(kernels.__file__).parent
PACKAGE = "house"  # the kernels are copied below this package: they import nothing from outside


def test_old_caches_are_pruned(tmp_path):
    """Each edit of the room makes a cache folder; without an end they would fill the disk of who edits."""
    from minicnn.kernels.cpu import jit

    folders = [tmp_path / f"{i:016x}" for i in range(9)]
    others = [tmp_path / "notes", tmp_path / ("0" * 15), tmp_path / ("F" * 16)]
    for folder in folders + others:
        folder.mkdir()
        (folder / "kernel.nbi").write_text("")
        os.utime(folder, (folders.index(folder) if folder in folders else 0,) * 2)
    current = folders[0]  # the oldest: an edit was taken back
    jit._prune(current)
    assert set(tmp_path.iterdir()) == {current, *folders[5:], *others}
    jit._prune(folders[8])  # now the current one above is the newest
    jit._prune(tmp_path / "deleted meanwhile" / "0123456789abcdef")
    assert set(tmp_path.iterdir()) == {current, *folders[5:], *others}


# --- in fresh processes -----------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path):
    """A copy of the kernels as a package of its own, so that they can be edited, and an empty cache."""
    copy = tmp_path / "site" / PACKAGE
    shutil.copytree(KERNELS_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def python(code: str, house: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run ``code`` in a fresh interpreter that sees the copied kernels."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "MINICNN_"))}
    clean |= {"PYTHONPATH": str(house.parent), "MINICNN_ROOM": "cpu"}
    variable = "XDG_CACHE_HOME" if sys.platform == "linux" else "NUMBA_CACHE_DIR"
    clean[variable] = str(house.parent.parent / "cache")
    command = [sys.executable, "-c", f"import numpy as np\nimport {PACKAGE} as kernels\n{code}"]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


POOL = "print(kernels.avg_pool2d(np.ones((1, 1, 2, 2), np.float32), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), True).sum())"


@pytest.mark.compiled
def test_samples_run_every_compiled_kernel():
    """``minicnn warmup`` runs the samples: what they leave out would be compiled in the middle of a lecture."""
    code = """
import importlib, pkgutil
import numpy as np
from minicnn import kernels
from minicnn.kernels import cpu, samples
for name, args in samples.samples(np.float32):
    kernels.KERNELS[name](*args)
modules = [importlib.import_module(f"{cpu.__name__}.{m.name}") for m in pkgutil.iter_modules(cpu.__path__)]
compiled = {f for m in modules for f in vars(m).values() if getattr(f, "targetoptions", {}).get("parallel")}
assert len(compiled) > 25, compiled
print([f.py_func.__name__ for f in compiled if not f.signatures])
"""
    environment = os.environ | {"PYTHONPATH": str(Path(minicnn.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_second_process_loads_from_the_cache_without_a_word(house):
    """The first use says what it is compiling, once; the second process finds the result and is silent."""
    first, second = python(POOL, house), python(POOL, house)
    assert first.stdout == second.stdout == "1.0\n"
    assert re.fullmatch(r"minicnn: compiling avg_pool2d for float32 \(first use .*cache\)\n", first.stderr)
    assert second.stderr == ""


def test_editing_a_helper_changes_the_answer(house):
    """Numba's own cache looks only at the kernel's file: after an edit in another file it would serve old code."""
    code = "print(kernels.im2col(np.ones((1, 1, 1, 1)), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1)))"
    assert python(code, house).stdout == "[[1.]]\n"
    windows = house / "cpu" / "windows.py"
    old = "target[unsigned_to + i] = source[unsigned_start + i]"
    text = windows.read_text()
    assert old in text
    windows.write_text(text.replace(old, old + " + 41"))
    assert python(code, house).stdout == "[[42.]]\n"


def test_unwritable_cache_warns_once_and_computes(house):
    """A read-only home (a cluster, a container) costs compile time, never the run."""
    file = house.parent.parent / "a file, not a folder"
    file.write_text("")
    code = f"{POOL}\nkernels.relu(np.ones(3))"
    done = python(code, house, XDG_CACHE_HOME=str(file / "below"), NUMBA_CACHE_DIR=str(file / "below"))
    assert done.stdout == "1.0\n"
    assert done.stderr.count("RuntimeWarning: compiled kernels cannot be kept") == 1
    assert not list(house.rglob("*.nbi"))  # nor anywhere beside the sources


def test_workqueue_survives_two_python_threads(house):
    """Under this layer two launches at the same time abort the interpreter; one lock guards them."""
    pytest.importorskip("numba")
    code = """
import threading
x = np.ones(1000, np.float32)
kernels.relu(x)
threads = [threading.Thread(target=lambda: [kernels.relu(x) for _ in range(300)]) for _ in range(2)]
[t.start() for t in threads], [t.join() for t in threads]
import numba
print(numba.threading_layer())
"""
    assert python(code, house, NUMBA_THREADING_LAYER="workqueue").stdout == "workqueue\n"


def test_without_compiler_nothing_overflows(house):
    """NUMBA_DISABLE_JIT=1 is how coverage sees the kernels; then NumPy's scalars compute, and they warn of overflow."""
    code = """
import warnings
warnings.simplefilter("error")
rng = np.random.default_rng(0)
x, w = rng.standard_normal((2, 3, 5, 5)), rng.standard_normal((4, 3, 3, 3))
calls = [
    (kernels.conv2d, (x, w, None, (2, 1), (1, 1, 0, 1), (1, 1), 1)),
    (kernels.conv2d_input_grad, (rng.standard_normal((2, 4, 3, 4)), w, (5, 5), (2, 1), (1, 1, 0, 1), (1, 1), 1)),
    (kernels.conv2d_weight_grad, (rng.standard_normal((2, 4, 3, 4)), x, (3, 3), (2, 1), (1, 1, 0, 1), (1, 1), 1)),
    (kernels.max_pool2d, (x, (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (2, 2))),
    (kernels.channel_stats, (x,)),
    (kernels.batch_norm, (x, np.zeros(3), np.ones(3), np.ones(3), np.zeros(3), 1e-5)),
    (kernels.dropout, (x, 0.5, 2**64 - 1, 2**63 + 5)),
]
for kernel, args in calls:
    with kernels.use_room("plain"):
        want = kernel(*args)
    got = kernel(*args)
    for a, b in zip(got, want) if isinstance(want, tuple) else [(got, want)]:
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
print("equal")
"""
    done = python(code, house, NUMBA_DISABLE_JIT="1")
    assert done.stdout == "equal\n" and done.stderr == ""


FAULTS = """
import resource
import numpy as np
from house import cpu
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(32 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
with cpu.entering("a kernel"):
    pass
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux" or not os.path.exists("/proc/self/smaps"), reason="glibc's malloc only")
def test_how_much_freed_memory_is_kept(house):
    """An array of a step's size comes again without page faults, unless the user says that less is to be kept."""
    pages = (32 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert int(python(FAULTS, house).stdout) < pages / 100
    assert int(python(FAULTS, house, MINICNN_KEEP_MB="64").stdout) < pages / 100
    for less in ("0", "8"):
        assert int(python(FAULTS, house, MINICNN_KEEP_MB=less).stdout) > pages / 1000
    bad = subprocess.run(
        [sys.executable, "-c", FAULTS], env={**os.environ, "PYTHONPATH": str(house.parent), "MINICNN_KEEP_MB": "much"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "MINICNN_KEEP_MB must be a whole number of MB" in bad.stderr and bad.returncode == 1
