"""Folders that cannot be written: one clear error and nothing left behind; and reading from them works.

Two kinds of them. One lies below a plain file, where nobody can make anything. The other has its rights to write taken
away, which do not bind root: so these calls run in a thread that gave up root's privilege of passing over them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from archives import cifar_contents, jpeg, mnist_files, picture, snapshot, tar
from mistakes import complaint

import minicnn as mc
from minicnn import cli, data, nn, optim
from minicnn.data import download, imagenette, splits
from minicnn.files import fresh_folder

CAP_DAC_OVERRIDE, VERSION_3 = 1, 0x20080522  # linux/capability.h


def give_up_override() -> None:
    """For this thread, which has no way back; privileges belong to threads (Linux)."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable; twice, for 64 bits
        assert libc.capget(header, sets) == 0, os.strerror(ctypes.get_errno())
        for i in range(2):
            sets[i] &= ~(1 << CAP_DAC_OVERRIDE)
        assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())


def bound_by_rights(call: Callable):
    with ThreadPoolExecutor(1, initializer=give_up_override) as pool:
        return pool.submit(call).result()


@contextlib.contextmanager
def read_only(*folders: pathlib.Path) -> Iterator[None]:
    """Without rights to write, all the way down."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture(params=["below a file", "without rights"])
def unwritable(request, tmp_path, monkeypatch):
    """A folder's path, and how to call something that would like to write there; data sets and cache are there too."""
    folder = tmp_path / "there"
    monkeypatch.setenv("MINICNN_DATA", str(folder / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr(download, "SYSTEM", {})
    if request.param == "below a file":
        folder.write_text("a file")
        yield folder, lambda call: call()
    else:
        folder.mkdir()
        with read_only(folder):
            yield folder, bound_by_rights


def trainer(out: pathlib.Path) -> mc.Trainer:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return mc.Trainer(
        model, optim.SGD(model.parameters(), 0.1), data.Loader(data.digits("val"), 32), out=out, progress=False
    )


def unpack(folder: pathlib.Path):
    archive = tar(folder.with_name("i.tgz"), {"imagenette2-160/train/n01440764/1.JPEG": jpeg()})
    return imagenette.unpack(archive, folder / "imagenette2-160")


WRITES = {
    "run folder": (lambda at: trainer(at / "run").fit(1), mc.FileError, "run"),
    "run folder that is there": (lambda at: trainer(at).fit(1), mc.FileError, "choose another path"),
    "fresh folder": (lambda at: fresh_folder(at / "run"), mc.FileError, "run"),
    "weights": (lambda at: mc.save(nn.Linear(2, 2), at / "w.safetensors"), mc.FileError, "w.safetensors"),
    "picture": (lambda at: data.show(np.zeros((1, 1, 4, 4)), path=at / "p.png"), mc.FileError, "p.png"),
    "download": (lambda at: download.fetch("a.bin", ["http://127.0.0.1:9/"], "md5:0", "set"), mc.DataError, "a.bin"),
    "archive": (unpack, mc.DataError, "imagenette2-160"),
}


@pytest.mark.parametrize("what", WRITES)
def test_one_error_and_nothing_left(what, unwritable, tmp_path):
    folder, call = unwritable
    write, error, name = WRITES[what]
    caught = complaint(lambda: call(lambda: write(folder)), error, ("cannot", str(folder), name))
    assert "\n" not in str(caught)
    assert set(snapshot(tmp_path)) <= {"there", "i.tgz"}


def test_command_line(unwritable, tmp_path, monkeypatch, capsys):
    """One line and exit status 2, before any training."""
    monkeypatch.setenv("MINICNN_ROOM", "plain")  # the cpu room would say that it cannot keep compiled kernels
    folder, call = unwritable
    command = ["train", "--model", "resnet20", "--epochs", "1", "--out", str(folder / "run")]
    with pytest.raises(SystemExit) as exit:
        call(lambda: cli.main(command))
    said = capsys.readouterr()
    assert exit.value.code == 2 and said.err.count("\n") == 1
    assert f"cannot write {folder / 'run'}" in said.err and "epoch" not in said.out
    assert set(snapshot(tmp_path)) == {"there"}


# Reading -------------------------------------------------------------------------------------------------------------
def test_data_sets_in_read_only_folders(tmp_path, monkeypatch):
    """Everything is found and read, by name, where neither the folder of data sets nor the cache can be written."""
    for k, name in enumerate(("cat", "dog")):
        for i in range(10):
            picture(tmp_path / "pictures" / name / f"{i}.png", colour=(100 * k, 10 * i, 0))
    sets = tmp_path / "sets"
    mnist_files(sets / "mnist")
    (sets / "cifar10").mkdir()
    tar(sets / "cifar10" / "cifar-10-python.tar.gz", cifar_contents("cifar10"))
    for part in ("train", "val"):
        for wnid in list(imagenette.NAMES)[:2]:
            for name in ("1.JPEG", "2.JPEG"):
                picture(sets / "imagenette160" / "imagenette2-160" / part / wnid / name)
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("MINICNN_DATA", str(sets))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    monkeypatch.setattr(download, "SYSTEM", {})
    # The published checksums are not those of our small files.
    monkeypatch.setattr(download, "_difference", lambda *_: None)
    names = [f"folder:{tmp_path / 'pictures'}", "mnist", "cifar10", "imagenette160"]

    def read():
        with pytest.raises(PermissionError):
            (sets / "cifar10" / "x").touch()
        return {name: [data.get_dataset(name, split)[0] for split in splits.SPLITS] for name in names}

    before = snapshot(tmp_path)
    with read_only(tmp_path):
        found = bound_by_rights(read)
    assert snapshot(tmp_path) == before
    shapes = [found[name][0][0].shape for name in names]
    assert shapes == [(3, 4, 6), (1, 28, 28), (3, 32, 32), (3, 160, 160)]


def test_what_a_read_only_folder_lacks_goes_to_the_cache(tmp_path, monkeypatch):
    """A class shares its data sets: an archive there is unpacked into the reader's own cache."""
    archive = tmp_path / "class" / "imagenette160" / "imagenette2-160.tgz"
    archive.parent.mkdir(parents=True)
    wnids = list(imagenette.NAMES)[:2]
    tar(
        archive,
        {f"imagenette2-160/{part}/{w}/{i}.JPEG": jpeg() for part in ("train", "val") for w in wnids for i in "01"},
    )
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "class"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_difference", lambda *_: None)
    with read_only(tmp_path / "class"):
        home, dataset = bound_by_rights(
            lambda: (download.home("set"), data.get_dataset("imagenette160", "test", size=8))
        )
    assert home == tmp_path / "cache/minicnn/data/set" and len(dataset) == 4
    assert dataset.folder == tmp_path / "cache/minicnn/data/imagenette160/imagenette2-160"
