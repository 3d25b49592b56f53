"""Real files of trained weights, damaged in 300 drawn ways each: they load, or one clear error says why not."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
import sys

import data_packages
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn as mc

KINDS = ("efficientnet_lite0.pth", "mobilenet_v2.pt", "zip.pth", "w.safetensors", "w.npz", "compressed.npz")
#: more memory than any of these needs; a forged size or a loop that allocates would want more
ROOM = 2**30


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    """A sound file, of which the tests damage copies."""
    path = tmp_path_factory.mktemp("whole") / request.param
    if request.param == "efficientnet_lite0.pth":
        shutil.copy(data_packages.efficientnet_lite0(), path)
    elif request.param == "mobilenet_v2.pt":
        shutil.copy(data_packages.mobilenet_v2_backbone(), path)
    else:
        state = mc.load(data_packages.mobilenet_v2_backbone())
        if request.param == "zip.pth":
            torch = pytest.importorskip("torch")
            torch.save({name: torch.from_numpy(array.copy()) for name, array in state.items()}, path)
        elif request.param == "compressed.npz":
            np.savez_compressed(path, **state)
        else:
            mc.save(state, path)
    return path


@contextlib.contextmanager
def little_memory():
    """In this block, whoever asks for much more memory than there is in use now gets none."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class Watch:
    """Notes what a file of weights must never cause. An audit hook stays for ever, so there is one, and a switch."""

    EVENTS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "os.remove", "os.mkdir")

    def __init__(self) -> None:
        self.on, self.seen = False, []
        sys.addaudithook(self)

    def __call__(self, event: str, _: tuple) -> None:
        if self.on and event in self.EVENTS:
            self.seen.append(event)


WATCH = Watch()


def test_the_watch_sees():
    WATCH.on = True
    subprocess.run([sys.executable, "-c", ""], check=True)
    WATCH.on = False
    assert WATCH.seen.pop() and not WATCH.seen.clear()


@st.composite
def places(draw, length: int) -> int:
    """A byte of the file: in the middle, or near its ends, where the description is."""
    near = draw(st.sampled_from((64, 4096, 100_000, length)))
    place = draw(st.integers(0, min(near, length) - 1))
    return place if draw(st.booleans()) else length - 1 - place


@st.composite
def damages(draw, length: int) -> list[tuple[str, int, int, bytes]]:
    """One to four changes: (what, where, how many bytes, which)."""
    kinds = st.sampled_from(("flip", "overwrite", "cut out", "put in", "repeat", "cut off", "zeros", "digits"))
    few = st.one_of(st.integers(1, 8), st.integers(1, 5000))
    changes = st.tuples(kinds, places(length), few, st.binary(min_size=1, max_size=12))
    return draw(st.lists(changes, min_size=1, max_size=4))


def damage(content: bytearray, what: str, at: int, count: int, some: bytes) -> None:
    at = min(at, len(content))
    here = slice(at, at + count)
    if what == "flip":
        content[at : at + 1] = bytes(b ^ (some[0] or 1) for b in content[at : at + 1])
    elif what == "overwrite":
        content[at : at + len(some)] = some
    elif what == "cut out":
        del content[here]
    elif what == "put in":
        content[at:at] = some
    elif what == "repeat":
        content[at:at] = content[here]
    elif what == "cut off":
        del content[at:]
    elif what == "zeros":
        content[here] = bytes(len(content[here]))
    elif what == "digits":  # another number where a number is written as text
        content[here] = bytes(ord("9") if 48 <= b < 58 else b for b in content[here])


def test_any_damage(whole, tmp_path):
    """No other error than the one that names the file; nothing is run; time and memory stay bounded."""
    content = whole.read_bytes()
    sound = sum(array.nbytes for array in mc.load(whole).values())
    path, outcomes = tmp_path / whole.name, {"refused": 0, "loaded": 0}

    @settings(max_examples=300, deadline=20_000, suppress_health_check=list(HealthCheck))
    @given(damages(len(content)))
    def once(changes):
        copy = bytearray(content)
        for change in changes:
            damage(copy, *change)
        path.write_bytes(copy)
        WATCH.on = True
        try:
            with little_memory():
                state = mc.load(path)
        except mc.FileError as error:
            outcomes["refused"] += 1
            assert path.name in str(error) and "\n" not in str(error) and len(str(error)) < 600
        else:
            outcomes["loaded"] += 1
            assert all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in state.items())
            assert sum(array.nbytes for array in state.values()) <= 2 * sound
            sum(float(np.sum(array, dtype=np.float64)) for array in state.values() if array.dtype.kind == "f")
        finally:
            WATCH.on = False

    with np.errstate(all="ignore"):
        once()
    assert not WATCH.seen, WATCH.seen
    assert outcomes["refused"] >= 100, outcomes
