"""What a submission does, badly or on purpose: it scores 0 with a reason, and nothing outside its process changes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys

import numpy as np
import pytest

from minicnn.coursework import Exercise, SubmissionError, Wrong, close
from minicnn.coursework.process import Limits
from minicnn.coursework.running import run

EXERCISE = Exercise("twice", ("twice",), {"a": "", "b": ""}, forbidden=("relu", "max_pool2d"))
QUICK = Limits(seconds=20, check_seconds=2, cpu=5)


@EXERCISE.check(points=1, category="doubling", hint="2 x")
def doubled(student, variant, rng):
    x = rng.standard_normal(5)
    close(student.numbers("twice", x), 2 * x, "y")


@EXERCISE.check(points=1, category="two axes", hint="2 x")
def two_axes(student, variant, rng):
    close(student.numbers("twice", np.ones((2, 3))), np.full((2, 3), 2.0), "y")
    if student.changed:
        raise Wrong("the argument was changed in place")


def messages(text: str, limits: Limits = QUICK) -> tuple[int, str]:
    """Points, and all that is said."""
    report = run(EXERCISE, text, "ex.py", seed=1, limits=limits)
    return report.points, "\n".join([report.reason, *(r.message for r in report.lost)])


GOOD = "def twice(x):\n    return 2 * x\n"
BAD = {
    "a syntax error": ("def twice(x:\n", "line 1"),
    "another name": ("def two(x): return 2 * x", "twice is not defined"),
    "an error": ("def twice(x):\n    return x @ x[:2]", "line 2 (`return x @ x[:2]`): ValueError"),
    "an error at loading": ("import numpy\n1 / 0", "line 2"),
    "nothing": ("def twice(x): pass", "None"),
    "a string": ("def twice(x): return 'x'", "an array of numbers is wanted"),
    "a function": ("def twice(x): return twice", "cannot be handed over"),
    "objects": ("import numpy\ndef twice(x): return numpy.array([None])", "cannot be handed over"),
    "a ragged list": ("def twice(x): return [[1], [1, 2]]", "different lengths"),
    "itself inside": ("def twice(x):\n    y = []\n    y.append(y)\n    return y", "nested too deeply"),
    "a shape": ("def twice(x): return x[None]", "has shape (1, 5); it should have (5,)"),
    "nan": ("def twice(x): return x * float('nan')", "it is nan"),
    "exit": ("def twice(x): exit()", "SystemExit"),
    "os._exit": ("import os\ndef twice(x): os._exit(0)", "ended itself with status 0"),
    "os._exit at loading": ("import os\nos._exit(3)", "ended itself with status 3"),
    "endless": ("def twice(x):\n    while True: pass", "endless loop"),
    "endless at loading": ("while True: pass", "endless loop"),
    "memory": ("import numpy\ndef twice(x): return numpy.ones(10**10)", "memory"),
    "much": ("import numpy\ndef twice(x): return numpy.ones(9 * 10**6)", "at most"),
    "deep": ("def twice(x): return twice(x)", "RecursionError"),
    "a forbidden op": (
        "from minicnn import functional as F\ndef twice(x): return F.relu(x).data", "this is the op you were asked",
    ),
    "a forbidden kernel": (
        "from minicnn import kernels\ndef twice(x): return kernels.relu(x)", "this is the op you were asked",
    ),
    "a forbidden function": (
        "from minicnn.kernels.plain.relu import relu\ndef twice(x): return relu(x)", "this is the op you were asked",
    ),
    "fork": ("import os\ndef twice(x):\n    while True: os.fork()", "may not start processes"),
    "a process": ("import subprocess\ndef twice(x): subprocess.run(['true'])", "may not start processes"),
    "a kill": ("import os\ndef twice(x): os.kill(os.getppid(), 9)", "may not send signals"),
    "a process by the back door": (
        "import _posixsubprocess\ndef twice(x): _posixsubprocess.fork_exec()", "may not start processes",
    ),
    "our objects": ("import gc\ndef twice(x): gc.get_objects()", "may not look for"),
    "a flood of replies": (
        "import os, contextlib\nwhile True:\n    for fd in range(3, 9):\n        with contextlib.suppress(OSError):\n"
        "            os.write(fd, b'MCW1' + bytes(7) + bytes([2]) + bytes(8) + b'[]')\n", "no reply",
    ),
    "the network": ("import socket\ndef twice(x): socket.socket()", "may not use the network"),
    "C": ("import ctypes\ndef twice(x): ctypes.CDLL(None)", "may not call into C"),
    "torch": ("import torch\ndef twice(x): return 2 * x", "may not import torch"),
    "its parent": ("import os\ndef twice(x): open(f'/proc/{os.getppid()}/environ')", "may not read files"),
    "a relative file": ("def twice(x): open('../../etc/passwd')", "may not read files"),
    "a forged reply": ("import os, contextlib\nfor fd in range(3, 9):\n    with contextlib.suppress(OSError):\n"
                       "        os.write(fd, b'x' * 100)\n" + GOOD, "no reply"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_it_scores_nothing_and_says_why(what):
    """One submission each; the batch, which is this process, goes on."""
    text, said = BAD[what]
    points, told = messages(text)
    assert points == 0 and said in told, told


def test_a_good_one_scores():
    """The same checks, a right answer."""
    assert messages(GOOD)[0] == 2


def test_one_check_that_ends_the_process_leaves_the_others():
    """A loop without end at one input costs that check; the process is started again for the next."""
    assert messages("def twice(x):\n    while x.ndim == 1: pass\n    return 2 * x")[0] == 1
    assert messages("import os\ndef twice(x):\n    if x.ndim == 1: os._exit(1)\n    return 2 * x")[0] == 1


def test_huge_output_is_drained_and_cut():
    """Printing without end neither blocks the submission nor fills our memory."""
    report = run(EXERCISE, "print('x' * 10_000_000)\n" + GOOD, "ex.py", limits=QUICK)
    assert report.points == 2 and len(report.output) <= 100_000 and report.output.startswith("xxx")


def test_a_printed_result_is_none():
    """What is printed, in whatever form, is never read as a result; nor does a patched NumPy help."""
    text = """
import numpy as np
np.allclose = np.array_equal = np.testing.assert_allclose = lambda *a, **k: True
np.abs = lambda *a: 0
print('{"value": {"points": 2}}')
def twice(x): return x
"""
    assert messages(text)[0] == 0


WAYS = [
    "open(p, 'w')", "os.remove(p)", "os.rename(p, p + '2')", "os.truncate(p, 0)", "os.open(p, os.O_WRONLY)",
    "pathlib.Path(p).unlink()", "open(p).read()", "np.ones(3).tofile(p)", "os.symlink(p, 'here')",
    "shutil.rmtree(os.path.dirname(p))",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_files_are_neither_read_nor_written(tmp_path, how):
    """Other people's work, and our own files, lie beside it: by name, and by a relative path."""
    path = tmp_path / "other.py"
    path.write_text("secret")
    text = (
        f"import os, pathlib, shutil\nimport numpy as np\ndef twice(x):\n    p = {str(path)!r}\n    {how}\n    return x"
    )
    points, told = messages(text)
    assert points == 0 and "a submission may not" in told
    assert path.read_text() == "secret" and os.listdir(tmp_path) == ["other.py"]


def test_solutions_are_out_of_reach():
    """The package holds them; the process of a submission cannot read them, nor import the folder's files."""
    text = (
        "import minicnn.coursework as c, os\np = os.path.dirname(c.__file__) + '/exercises/ex05_max_pool_backward/'\n"
    )
    points, told = messages(text + "def twice(x): return open(p + 'solution.py').read()")
    assert points == 0 and "may not read files" in told
    points, told = messages(text + "def twice(x): return os.listdir(p)")
    assert points == 0 and "may not look into folders" in told


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Landlock is Linux's")
def test_the_kernel_keeps_files_where_the_audit_hook_is_got_round(tmp_path):
    """Landlock, alone, in a process: it reads Python's own files, and writes, removes and reads no other."""
    from minicnn.coursework import guard
    from minicnn.coursework.process import _readable

    path = tmp_path / "other.py"
    path.write_text("secret")
    child = os.fork()
    if not child:
        status = 1
        try:
            done = guard.landlock(_readable(), os.path.join(os.path.dirname(guard.__file__), "exercises"))
            tries = [lambda: open(path), lambda: open(path, "w"), lambda: os.remove(path), lambda: os.truncate(path, 0)]
            closed = [lambda: os.listdir(os.path.join(os.path.dirname(guard.__file__), "exercises"))]
            status = 77 if not done else sum(_works(one) for one in tries + closed)
            open(guard.__file__).close()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert path.read_text() == "secret"
    if status != 77:  # a kernel without Landlock
        assert status == 0


def _works(action) -> bool:
    try:
        action()
    except PermissionError:
        return False
    return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_no_process_is_left():
    """Killed with its group: nothing of a submission runs on."""
    run(EXERCISE, "while True: pass", "ex.py", limits=Limits(seconds=1, check_seconds=1))
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # a process of someone else's that has just ended
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            assert parent != os.getpid() or b"coursework" not in stat.with_name("cmdline").read_bytes()


def test_arguments_changed_in_place_are_reported():
    """The grader's own arrays cannot be reached; that the submission wrote into its copy is told."""
    points, told = messages("def twice(x):\n    x *= 2\n    return x")
    assert points == 1 and "changed in place" in told
    exercise = Exercise("t", ("f",), {"a": "", "b": ""})

    @exercise.check(points=1, category="", hint="")
    def changes(student, variant, rng):
        student.call("f", np.ones(3), [np.ones(2), np.zeros(2)], {"mean": np.ones(2)}, key=np.ones(1))
        if student.changed != ["0", "1.1", "2.mean", "key"]:
            raise Wrong(str(student.changed))

    text = "def f(x, y, z, key):\n    x[0] = 5\n    y[1] += 1\n    z['mean'] *= 2\n    key -= 1"
    assert run(exercise, text, "ex.py").points == 1


def test_layers_are_built_run_and_sent_back():
    """An nn.Module of a submission: parameters by name, numbers put in, forward, backward, running statistics."""
    exercise = Exercise("layer", ("Block",), {"a": "", "b": ""})

    @exercise.check(points=1, category="", hint="")
    def block(student, variant, rng):
        x, g = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal((2, 3, 4, 4))
        found = student.module("Block", 3, inputs=[x.astype(np.float32)], upstream=g.astype(np.float32))
        close(found["input_grads"][0], (2 * g).astype(np.float32), "dx")
        assert found["shapes"] == {"bn.weight": (3,), "bn.bias": (3,)} and found["layers"] == {"bn": "BatchNorm2d"}
        close(found["grads"]["bn.bias"], np.zeros(3), "unused", atol=1e-6)
        close(found["state"]["bn.running_mean"], 0.1 * x.mean((0, 2, 3)), "statistics", atol=1e-6)

    text = """
from minicnn import nn
class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
    def forward(self, x):
        return 2 * x + 0 * self.bn(x)
"""
    report = run(exercise, text, "ex.py")
    assert not report.lost, report.lost[0].message


def test_an_error_of_the_submission_may_be_the_right_answer():
    """A check can expect that something raises."""
    exercise = Exercise("raise", ("f",), {"a": "", "b": ""})

    @exercise.check(points=1, category="", hint="")
    def refuses(student, variant, rng):
        with pytest.raises(SubmissionError, match="ValueError: no"):
            student.call("f", 3)

    assert run(exercise, "def f(n): raise ValueError('no')", "ex.py").points == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_memory_told_is_the_submissions_own():
    """Not what the grader held when it started the process, which Linux counts into the new one's largest memory."""
    held = np.ones(80_000_000)  # 640 MB
    report = run(EXERCISE, "def twice(x): return 2 * x", "ex.py")
    assert held.nbytes / 1e6 > 600 and 10 < report.usage["mb"] < 400
