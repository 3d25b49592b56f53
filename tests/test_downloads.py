"""Finding and fetching the published files, against a small server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import pathlib
import threading

import numpy as np
import pytest
from archives import cifar_contents, idx, jpeg, mnist_files, picture, snapshot, tar
from mistakes import complaint

import minicnn as mc
from minicnn import cli, data
from minicnn.data import cifar, download, imagenette, splits
from minicnn.data import idx as idx_module

D = mc.DataError
CONTENT = bytes(range(256)) * 100


def md5(content: bytes) -> str:
    return "md5:" + hashlib.md5(content).hexdigest()


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """MINICNN_DATA and the cache in the test's folder; nothing of this machine is found, no proxy is asked."""
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MINICNN_OFFLINE", raising=False)
    monkeypatch.setattr(download, "SYSTEM", {})


@pytest.fixture
def server():
    """Address of a server, and what it was asked for: /good, /short (cut off), /other (another file), 404."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            found = {"/good": CONTENT, "/short": CONTENT[:9000], "/other": b"<html>log in first</html>"}.get(self.path)
            if found is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT if self.path == "/short" else found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("first", ["/missing", "/short", "/other"])
def test_mirrors(first, server, tmp_path, capsys):
    """What the first address fails to give comes from the second; with a progress bar; and is then kept."""
    address, asked = server
    for _ in range(2):
        path = download.fetch("a.bin", [address + first, address + "/good"], md5(CONTENT), "set")
    assert path == tmp_path / "data/set/a.bin" and path.read_bytes() == CONTENT
    assert asked == [first, "/good"]
    assert snapshot(tmp_path) == {"data": None, "data/set": None, "data/set/a.bin": CONTENT}
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("paths, says", [
    (["/missing"], ("404",)),
    (["/short", "/missing"], ("IncompleteRead", "404")),
    (["/other"], ("not the published file", "md5", hashlib.md5(CONTENT).hexdigest())),
])  # fmt: skip
def test_failed_download(paths, says, server, tmp_path):
    """One error with each address and its trouble, and the folder to put the file into; nothing is left."""
    urls = [server[0] + path for path in paths]
    where = f"put it into {tmp_path / 'data/set'}"
    complaint(lambda: download.fetch("a.bin", urls, md5(CONTENT), "set"), D, ("a.bin", *urls, where, *says))
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_nobody_answers(tmp_path):
    urls = ["http://127.0.0.1:9/a.bin", "no address"]
    complaint(lambda: download.fetch("a.bin", urls, md5(CONTENT), "set"), D, (*urls, "by hand", str(tmp_path)))


def test_offline_switch(server, tmp_path, monkeypatch):
    """Nothing is asked for; what is there is found all the same, in the cache too."""
    address, asked = server
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    says = ("a.bin", "MINICNN_OFFLINE", address, f"put it into {tmp_path / 'data/set'}")
    complaint(lambda: download.fetch("a.bin", [address + "/good"], md5(CONTENT), "set"), D, says)
    cached = tmp_path / "cache/minicnn/data/set/a.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    assert download.fetch("a.bin", [address + "/good"], md5(CONTENT), "set") == cached
    monkeypatch.delenv("MINICNN_DATA")
    assert download.home("set") == cached.parent and asked == []


def test_a_file_with_another_checksum_is_not_used(server, tmp_path):
    """Nor is it written over: it may be somebody's only copy."""
    path = tmp_path / "data/set/a.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    says = (str(path), "damaged or another file", hashlib.md5(CONTENT).hexdigest(), "remove it")
    complaint(lambda: download.fetch("a.bin", [server[0] + "/good"], md5(CONTENT), "set"), D, says)
    assert path.read_bytes() == CONTENT[:-1] and server[1] == []


def test_a_good_file_is_looked_at_once(tmp_path, monkeypatch):
    """Its checksum is not worked out for every split, but again when the file has changed."""
    path, looks, digest = tmp_path / "data/set/a.bin", [], hashlib.file_digest
    monkeypatch.setattr(download.hashlib, "file_digest", lambda *a: looks.append(1) or digest(*a))
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    for _ in range(3):
        assert download.fetch("a.bin", [], md5(CONTENT), "set") == path
    assert len(looks) == 1
    path.write_bytes(CONTENT[::-1])
    os.utime(path, (1, 1))  # the clock of a file system may be too coarse to tell the two apart
    complaint(lambda: download.fetch("a.bin", [], md5(CONTENT), "set"), D, ("damaged or another file",))


def test_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "data").write_text("a file")
    says = ("a.bin", "cannot write", "by hand")
    complaint(lambda: download.fetch("a.bin", [server[0] + "/good"], md5(CONTENT), "set"), D, says)


def test_content_counts_where_its_checksum_is_known(tmp_path, monkeypatch):
    """Debian packs Fashion-MNIST's files anew, so that the published checksum of the packed file does not fit."""
    path = tmp_path / "system/a.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(CONTENT, 1))
    monkeypatch.setattr(download, "SYSTEM", {"set": path.parent})
    sha = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    assert download.fetch("a.gz", [], md5(b""), "set", sha) == path
    path.write_bytes(path.read_bytes()[:-300])
    complaint(lambda: download.fetch("a.gz", [], md5(b""), "set", sha), D, (str(path), "read to the end"))


# By name -------------------------------------------------------------------------------------------------------------
def test_mnist_by_name(tmp_path, monkeypatch):
    """The published test set; the last tenth of each class of the training set, in the file's order, validates."""
    folder = tmp_path / "data/mnist"
    mnist_files(folder, train=200)
    digests = {p.name: (md5(p.read_bytes()), None) for p in folder.iterdir()}
    monkeypatch.setattr(idx_module, "MNIST", digests)
    train, val, test = (data.get_dataset("mnist", split) for split in splits.SPLITS)
    assert (len(train), len(val), len(test)) == (180, 20, 20)
    assert sorted(val.images[:, 0, 0, 0]) == list(range(180, 200)) and val.name == "mnist (val)"
    assert train.image_shape == (1, 28, 28) and train.classes == tuple("0123456789")
    mean, std = train.statistics()
    np.testing.assert_allclose((*mean, *std), ((train.images / 255).mean(), (train.images / 255).std()))
    few = folder / "t10k-labels-idx1-ubyte.gz"
    few.write_bytes(gzip.compress(idx(np.zeros(7, np.uint8))))
    digests[few.name] = (md5(few.read_bytes()), None)
    complaint(lambda: data.get_dataset("mnist", "test"), D, ("20 images, but 7 labels",))


def test_cifar_and_imagenette_by_name(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    for name in ("cifar10", "imagenette160"):
        (folder / name).mkdir(parents=True)
    archive = tar(folder / "cifar10/cifar-10-python.tar.gz", cifar_contents("cifar10"))
    layout = {**cifar.FORMATS["cifar10"], "archive": (archive.name, md5(archive.read_bytes()))}
    monkeypatch.setitem(cifar.FORMATS, "cifar10", layout)
    assert [len(data.get_dataset("cifar10", split)) for split in splits.SPLITS] == [90, 10, 20]
    wnids = list(imagenette.NAMES)[:2]
    contents = {
        f"imagenette2-160/{part}/{w}/{i}.JPEG": jpeg() for part in ("train", "val") for w in wnids for i in "01"
    }
    archive = tar(folder / "imagenette160/imagenette2-160.tgz", contents)
    monkeypatch.setitem(imagenette.DIGESTS, 160, md5(archive.read_bytes()))
    assert [len(data.get_dataset("imagenette160", split, size=8)) for split in splits.SPLITS] == [2, 2, 4]
    archive.unlink()  # unpacked once and for all
    assert data.get_dataset("imagenette160").image_shape == (3, 160, 160)


@pytest.mark.parametrize("name", [n for n in data.DATASETS if n != "digits"])
def test_every_name_tells_where_its_files_go(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    complaint(lambda: data.get_dataset(name), D, ("MINICNN_OFFLINE", "http", f"put it into {tmp_path / 'data' / name}"))
    complaint(lambda: data.get_dataset(name, "dev"), mc.ArgumentError, ("'dev'", "train, val, test"))


def test_training_on_a_folder(tmp_path, monkeypatch, capsys):
    """minicnn train --data folder:DIR; the run folder's name is a plain one."""
    for k, name in enumerate(("dark", "light")):
        for i in range(10):
            picture(tmp_path / "pictures" / name / f"{i}.png", (16, 16), (200 * k + i,) * 3)
    monkeypatch.setenv("MINICNN_ROOM", "plain")  # the test's own cache holds no compiled kernels
    monkeypatch.chdir(tmp_path)
    cli.main("train --model resnet20 --data folder:pictures --epochs 1 --batch-size 7".split())
    assert "test accuracy" in capsys.readouterr().out
    assert [p.name for p in pathlib.Path("runs").iterdir()] == ["resnet20-folder-pictures"]
