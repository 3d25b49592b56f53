"""Readers of the published formats: good files, damaged files, hostile files."""

from __future__ import annotations

import gzip
import os
import pickle
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from archives import cifar_contents, idx, jpeg, python2, snapshot, special, tar
from mistakes import complaint

import minicnn as mc
from minicnn.data import cifar, imagenette, safe, splits
from minicnn.data.cifar import read_cifar
from minicnn.data.idx import read_idx

D = mc.DataError


# Splits --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n, train, val, test", [(1, 1, 0, 0), (2, 1, 0, 1), (3, 1, 1, 1), (4, 2, 1, 1), (5, 3, 1, 1),
                                                 (10, 7, 1, 2), (25, 17, 3, 5)])  # fmt: skip
def test_split_by_tens(n, train, val, test):
    """Every image in one split; in each if there are three; and the same for each of two mixed classes."""
    labels = np.tile([0, 1], n)
    chosen = [splits.by_tens(labels, s) for s in splits.SPLITS]
    assert np.all(sum(c.astype(int) for c in chosen) == 1)
    for label in (0, 1):
        assert [int((c & (labels == label)).sum()) for c in chosen] == [train, val, test]


def test_last_tenth_is_stratified():
    chosen = splits.last_tenth(np.array([0] * 25 + [1] * 2 + [2]))
    assert np.flatnonzero(chosen).tolist() == [23, 24, 26]  # two of 25, one of two, none of one


# IDX -----------------------------------------------------------------------------------------------------------------
def test_idx_reads_what_was_written(tmp_path):
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(images)))
    np.testing.assert_array_equal(read_idx(tmp_path / "a.gz", 3), images)


LABELS = idx(np.arange(200, dtype=np.uint8))


@pytest.mark.parametrize("raw, says", [
    (gzip.compress(b"PK" + LABELS), ("no IDX file", "PK")),
    (gzip.compress(b""), ("no IDX file",)),
    (gzip.compress(idx(np.zeros(3), kind=14)), ("0x0e", "unsigned bytes")),
    (gzip.compress(idx(np.zeros((3, 2, 2), np.uint8))), ("3 dimensions, not of 1",)),
    (gzip.compress(LABELS[:6]), ("cut off within its dimensions",)),
    (gzip.compress(LABELS[:-5]), ("(200,) make 200 bytes", "only 195")),
    (gzip.compress(LABELS + b"x"), ("200 bytes", "more")),
    (gzip.compress(LABELS)[:-20], ("cut off", "fetch it again")),
    (LABELS, ("no gzip file", "fetch it again")),
])  # fmt: skip
def test_idx_that_is_none(raw, says, tmp_path):
    (tmp_path / "a.gz").write_bytes(raw)
    complaint(lambda: read_idx(tmp_path / "a.gz", 1), D, (str(tmp_path / "a.gz"), *says))


# CIFAR ---------------------------------------------------------------------------------------------------------------
def python3(value) -> bytes:
    """The same with Python 3's pickle and today's NumPy."""
    return pickle.dumps({k.encode(): v for k, v in value.items()}, protocol=2)


@pytest.mark.parametrize("write", [python2, python3])
@pytest.mark.parametrize("name, n", [("cifar10", 20), ("cifar100", 100)])
def test_cifar(name, n, write, tmp_path):
    """Pickles of Python 2, as published, and of Python 3; splits, names, and the channels' order."""
    rows = np.repeat(np.arange(3, dtype=np.uint8) * 100, 1024)[None].repeat(n, 0)
    rows[:, 1] = 7  # red, first row, second column
    archive = tar(tmp_path / "c.tar.gz", cifar_contents(name, write, n, rows))
    train, val, test = (read_cifar(archive, name, split) for split in splits.SPLITS)
    assert (len(train), len(val), len(test)) == (90, 10, n)
    assert set(val.labels) == set(range(10)) and train.classes[3] == "class 3" and train.image_shape == (3, 32, 32)
    assert train.images[0, :, 0, 1].tolist() == [7, 100, 200] and train.images.dtype == np.uint8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.tar.gz"]


def test_cifar_archive_is_read_once(tmp_path, monkeypatch):
    """For all splits; anew when the file has changed; one archive is kept, and what is given out cannot be changed."""
    read, members = [], safe.members
    monkeypatch.setattr(cifar, "members", lambda archive: read.append(archive) or members(archive))
    archive = tar(tmp_path / "a.tar.gz", cifar_contents("cifar10"))
    train, *_ = (read_cifar(archive, "cifar10", split) for split in ("train", "val", "test", "val"))
    assert len(read) == 1 and read_cifar(archive, "cifar10", "train").images is train.images
    with pytest.raises(ValueError, match="read-only"):
        train.images[0] = 0
    tar(archive, cifar_contents("cifar10", data=np.full((20, 3072), 9, np.uint8)))
    os.utime(archive, (1, 1))  # the clock of a file system may be too coarse to tell the two apart
    assert read_cifar(archive, "cifar10", "train").images.min() == 9 and len(read) == 2
    other = tar(tmp_path / "b.tar.gz", cifar_contents("cifar10"))
    for path in (other, archive):
        read_cifar(path, "cifar10", "test")
    assert len(read) == 4


BATCH = "cifar-10-batches-py/data_batch_2"


def raw_call(module: str, name: str, *arguments: str) -> bytes:
    """A pickle that calls a function."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(b"V" + a.encode() + b"\n" for a in arguments) + b"tR."


@pytest.mark.parametrize("raw, says", [
    (raw_call("os", "mkdir", "BOOM"), ("refused", "os.mkdir")),
    (raw_call("builtins", "eval", "__import__('os').mkdir('BOOM')"), ("refused", "builtins.eval")),
    (raw_call("numpy", "load", "x.npy"), ("refused", "numpy.load")),
    (raw_call("_codecs", "encode", "x", "rot13"), ("refused", "'rot13'")),
    (b"cnumpy\ndtype\n}X\x04\x00\x00\x00evil\x88sb.", ("no entry data",)),  # sets an attribute of what it is given
    (python2({"data": np.zeros((2, 3072), "<f4"), "labels": [0, 1]}), ("refused", "f4", "unsigned bytes")),
    (python2({"data": np.zeros((20, 3071), np.uint8), "labels": [0] * 20}), ("(N, 3072)", "(20, 3071)")),
    (python2({"data": np.zeros((20, 3072), np.uint8)}), ("no entry labels",)),
    (python2({"data": np.zeros((20, 3072), np.uint8), "labels": [0]}), ("20 images",)),
    (python2({"data": np.zeros((20, 3072), np.uint8), "labels": ["0"] * 20}), ("whole numbers",)),
    (python2({"data": np.zeros((20, 3072), np.uint8)})[:-50], ("damaged",)),
    (python2({"data": np.zeros((20, 3072), np.uint8)}).replace(b"J\x14", b"J\x15"), ("damaged", "(21,3072)")),
    (b"", ("damaged",)),
    (b"Vid\nQ.", ("refused", "outside itself")),
    (None, ("no file", "cifar-10-python.tar.gz")),
])  # fmt: skip
def test_cifar_that_is_none(raw, says, tmp_path, monkeypatch):
    """Each member that is wrong is named; no code of it is run; nothing is written."""
    monkeypatch.chdir(tmp_path)
    contents = {**cifar_contents("cifar10"), BATCH: raw}
    archive = tar(tmp_path / "c.tar.gz", {k: v for k, v in contents.items() if v is not None})
    before = snapshot(tmp_path)
    complaint(lambda: read_cifar(archive, "cifar10", "train"), D, (str(archive), BATCH, *says))
    assert snapshot(tmp_path) == before
    assert not any(hasattr(target, "evil") for target in safe._ALLOWED.values())


class Bomb:
    """Sixty lists, each of the one before, ten times, as the kind of an array."""

    lists: list = []
    for _ in range(60):
        lists = [lists] * 10

    def __reduce__(self):
        return np.dtype, (self.lists,)


def test_pickle_of_lists_in_lists_ends_soon(tmp_path):
    """They are never written out, not even for a message."""
    names = pickle.dumps({b"label_names": Bomb.lists}, protocol=2)
    archive = tar(tmp_path / "c.tar.gz", {**cifar_contents("cifar10"), "cifar-10-batches-py/batches.meta": names})
    complaint(lambda: read_cifar(archive, "cifar10", "test"), D, ("batches.meta", "label_names must be text"))
    complaint(lambda: safe.unpickle(pickle.dumps(Bomb()), "a pickle"), D, ("a pickle is refused", "array of list"))


def test_cifar_label_without_a_name(tmp_path):
    archive = tar(tmp_path / "c.tar.gz", cifar_contents("cifar10", labels=[12] * 20))
    complaint(lambda: read_cifar(archive, "cifar10", "test"), D, ("cifar10", "label 12 of image 0", "10 classes"))


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.95])
def test_cifar_cut_off(keep, tmp_path, rng):
    contents = cifar_contents("cifar10", data=rng.integers(0, 256, (20, 3072), np.uint8))
    archive = tar(tmp_path / "c.tar.gz", contents)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else keep])
    complaint(lambda: read_cifar(archive, "cifar10", "train"), D, (str(archive), "fetch it again"))


# Imagenette ----------------------------------------------------------------------------------------------------------
TOP = "imagenette2-160"


def imagenette_contents() -> dict[str, bytes]:
    contents = {f"{TOP}/noisy_imagenette.csv": b"path\n"}
    for k, wnid in enumerate(list(imagenette.NAMES)[:2]):
        for part, n in (("train", 20), ("val", 3)):
            for i in range(n):
                contents[f"{TOP}/{part}/{wnid}/{wnid}_{i:02d}.JPEG"] = jpeg((8 + i % 2, 6), (0, 100 * k, 200))
    return contents


def test_imagenette(tmp_path):
    folder = imagenette.unpack(tar(tmp_path / "i.tgz", imagenette_contents()), tmp_path / "new" / TOP)
    train, val, test = (imagenette.read_imagenette(folder, split, 5, "imagenette160") for split in splits.SPLITS)
    assert (len(train), len(val), len(test)) == (36, 4, 6)
    assert train.classes == ("tench", "English springer") and train.image_shape == (3, 5, 5)
    image, label = test[5]
    assert label == 1 and abs(image[1].mean() - 100 / 255) < 0.02
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [TOP]


@pytest.mark.parametrize("name, more, says", [
    ("../outside.txt", (), ("'../outside.txt'", "outside the folder")),
    (f"{TOP}/../../outside.txt", (), ("outside the folder",)),
    ("/tmp/outside.txt", (), ("'/tmp/outside.txt'",)),
    ("..\\outside.txt", (), ("outside the folder",)),
    ("c:outside.txt", (), ("outside the folder",)),
    (None, (special(f"{TOP}/out", tarfile.SYMTYPE, ".."),), ("link to '..'",)),
    (None, (special(f"{TOP}/out", tarfile.LNKTYPE, "/etc/passwd"),), ("link to '/etc/passwd'",)),
    (None, (special(f"{TOP}/pipe", tarfile.FIFOTYPE),), ("device",)),
    (None, (special(f"{TOP}/null", tarfile.CHRTYPE),), ("device",)),
])  # fmt: skip
def test_archive_that_would_escape(name, more, says, tmp_path):
    """Refused by the member's name; nothing of the archive is left, inside or outside."""
    (tmp_path / "deep").mkdir()
    contents = {**imagenette_contents(), **({name: b"x"} if name else {})}
    archive = tar(tmp_path / "i.tgz", contents, *more)
    before = snapshot(tmp_path)
    complaint(lambda: imagenette.unpack(archive, tmp_path / "deep" / TOP), D, (str(archive), "refused", *says))
    assert snapshot(tmp_path) == before


def test_imagenette_unpacked_by_another_process_meanwhile(tmp_path, monkeypatch):
    """That is no error, and its folder is kept."""
    archive = tar(tmp_path / "i.tgz", imagenette_contents())
    members = safe.members

    def slow(path):
        yield from members(path)
        (tmp_path / TOP / "train").mkdir(parents=True)

    monkeypatch.setattr(safe, "members", slow)
    imagenette.unpack(archive, tmp_path / TOP)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["i.tgz", TOP]


KILLED = f"""
import os, signal, sys
from minicnn.data import imagenette, safe

def cut(archive, members=safe.members):
    for number, member in enumerate(members(archive)):
        if number == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        yield member

safe.members = cut
imagenette.unpack(sys.argv[1], sys.argv[2] + "/{TOP}")
"""


def test_what_a_killed_process_unpacked_is_removed(tmp_path):
    archive = tar(tmp_path / "i.tgz", imagenette_contents())
    done = subprocess.run([sys.executable, "-c", KILLED, archive, tmp_path], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = tmp_path.glob(f".{TOP}-unpacking-*")
    assert len([p for p in left.rglob("*") if p.is_file()]) == 20
    imagenette.unpack(archive, tmp_path / TOP)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["i.tgz", TOP]


def test_what_a_living_process_unpacks_is_not_removed(tmp_path, monkeypatch):
    """One begins, another begins and ends, the first goes on."""
    archive, others = tar(tmp_path / "i.tgz", imagenette_contents()), [tmp_path / TOP]
    members = safe.members

    def interrupted(path):
        for number, member in enumerate(members(path)):
            if number == 20 and others:
                imagenette.unpack(archive, others.pop())
                assert len(list(tmp_path.glob(f".{TOP}-unpacking-*"))) == 1
            yield member

    monkeypatch.setattr(safe, "members", interrupted)
    imagenette.unpack(archive, tmp_path / TOP)
    assert not others and sorted(p.name for p in tmp_path.iterdir()) == ["i.tgz", TOP]


def test_imagenette_with_an_unknown_class(tmp_path):
    contents = {name.replace("n01440764", "n00000001"): raw for name, raw in imagenette_contents().items()}
    folder = imagenette.unpack(tar(tmp_path / "i.tgz", contents), tmp_path / TOP)
    says = (str(folder), "n00000001", "ten classes")
    complaint(lambda: imagenette.read_imagenette(folder, "test", 5, "imagenette160"), D, says)


def test_unpacking_where_nothing_can_be_written(tmp_path):
    archive = tar(tmp_path / "i.tgz", imagenette_contents())
    says = (str(archive), f"cannot be unpacked into {archive / TOP}")
    complaint(lambda: imagenette.unpack(archive, archive / TOP), D, says)


def test_archive_damaged_too_large_or_another(tmp_path):
    archive = tar(tmp_path / "i.tgz", imagenette_contents())
    half = tmp_path / "half.tgz"
    half.write_bytes(archive.read_bytes()[:-2000])
    other = tar(tmp_path / "other.tgz", {"readme.txt": b""})
    before = snapshot(tmp_path)
    complaint(lambda: imagenette.unpack(half, tmp_path / TOP), D, (str(half), "cut off", "fetch it again"))
    complaint(lambda: imagenette.unpack(other, tmp_path / TOP), D, (str(other), f"no folder {TOP}"))
    complaint(lambda: safe.extract(archive, tmp_path / TOP, limit=999), D, ("more than 999 bytes",))
    assert snapshot(tmp_path) == before
