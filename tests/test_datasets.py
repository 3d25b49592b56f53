"""Readers of the published formats, and folders of pictures: good files, damaged files, hostile files."""

from __future__ import annotations

import gzip
import os
import pickle
import tarfile

import numpy as np
import pytest
from archives import cifar_contents, idx, jpeg, picture, python2, snapshot, special, tar
from mistakes import case, complaint
from PIL import Image

import minicnn as mc
from minicnn import data
from minicnn.data import imagenette, safe, splits
from minicnn.data.cifar import read_cifar
from minicnn.data.idx import read_idx

D, A = mc.DataError, mc.ArgumentError


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


# Folders of pictures -------------------------------------------------------------------------------------------------
def pictures(folder, classes=("cat", "dog"), n=10, **options):
    for k, name in enumerate(classes):
        for i in range(n):
            picture(folder / name / f"{i}.png", colour=(100 * k, 10 * i, 0), **options)
    return folder


def test_folder(tmp_path):
    """Any depth, many formats; what is no picture is listed; the split is fixed; batches come out of it."""
    pictures(tmp_path, n=6)
    for ending in ("jpg", "pgm", "bmp", "webp"):
        picture(tmp_path / "dog" / "deep" / "er" / f"x.{ending}")
    for stray in ("readme.txt", "cat/notes.txt", "cat/._0.png"):
        (tmp_path / stray).write_text("no picture")
    by_split = {split: data.get_dataset(f"folder:{tmp_path}", split) for split in splits.SPLITS}
    assert {s: len(d) for s, d in by_split.items()} == {"train": 4 + 7, "val": 1 + 1, "test": 1 + 2}
    assert len({p for d in by_split.values() for p in d.paths}) == 16
    train = by_split["train"]
    assert train.classes == ("cat", "dog") and train.image_shape == (3, 4, 6) and train.name.endswith("(train)")
    assert {str(p.relative_to(tmp_path)) for p in train.ignored} == {"readme.txt", "cat/notes.txt", "cat/._0.png"}
    images, labels = next(iter(data.Loader(train, 11)))
    assert images.shape == (11, 3, 4, 6) and labels.tolist() == [0] * 4 + [1] * 7 and images.dtype == np.float32
    np.testing.assert_allclose(images[0, :, 0, 0], [0, 0, 0])
    mean, std = train.statistics()
    np.testing.assert_allclose(mean, images.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(std, images.std((0, 2, 3)), atol=1e-6)


def test_folder_of_splits(tmp_path):
    for part, n in (("train", 20), ("valid", 3), ("test", 4)):
        pictures(tmp_path / "three" / part, n=n)
    assert [len(data.FolderDataset(tmp_path / "three", s)) for s in splits.SPLITS] == [40, 6, 8]
    for part, n in (("train", 20), ("val", 3)):
        pictures(tmp_path / "two" / part, n=n)
    assert [len(data.FolderDataset(tmp_path / "two", s)) for s in splits.SPLITS] == [36, 4, 6]
    pictures(tmp_path / "one" / "train", n=10)
    assert [len(data.FolderDataset(tmp_path / "one", s)) for s in splits.SPLITS] == [14, 2, 4]
    pictures(tmp_path / "two" / "val", ["fox"])
    complaint(lambda: data.FolderDataset(tmp_path / "two", "test"), D, ("val/fox", "none of the training classes"))


def test_sizes_and_colours(tmp_path):
    """size= resizes and cuts out the centre; grey or RGB by the first picture, or as asked; EXIF turns; 16 bits."""
    pictures(tmp_path, mode="L")
    grey = data.FolderDataset(tmp_path, size=3)
    assert grey.image_shape == grey[0][0].shape == (1, 3, 3)
    assert data.FolderDataset(tmp_path, channels=3)[0][0].shape == (3, 4, 6)
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 255  # only the centre is white
    Image.fromarray(wide).save(tmp_path / "cat" / "0.png")
    assert data.FolderDataset(tmp_path, size=4)[0][0].mean() == 1
    deep = np.full((4, 6), 40000, np.uint16)
    Image.fromarray(deep).save(tmp_path / "cat" / "0.png")
    assert abs(data.FolderDataset(tmp_path)[0][0].mean() - 40000 / 65535) < 0.01
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned = pictures(tmp_path / "turned", size=(4, 6))
    picture(turned / "cat" / "0.png", size=(6, 4), exif=exif)
    assert data.FolderDataset(turned).image_shape == data.FolderDataset(turned)[0][0].shape == (3, 6, 4)


def test_unreadable_picture(tmp_path):
    """Raised at once, or when loaded, by its name; or left out, and listed."""
    pictures(tmp_path, size=(60, 60))
    half, text = tmp_path / "cat" / "0.png", tmp_path / "dog" / "1.png"
    Image.effect_noise((60, 60), 90).convert("RGB").save(half)
    half.write_bytes(half.read_bytes()[:2000])
    dataset = data.FolderDataset(tmp_path)
    complaint(lambda: dataset[0], D, (str(half), "cannot be read", "on_error='skip'"))
    text.write_text("no picture")
    complaint(lambda: data.FolderDataset(tmp_path), D, (str(text), "cannot be read", "on_error='skip'"))
    dataset = data.FolderDataset(tmp_path, on_error="skip")
    assert dataset.skipped == [half, text] and len(dataset) == len(dataset.labels) == 12
    assert [dataset.classes[dataset[i][1]] for i in range(12)] == [p.parent.name for p in dataset.paths]


def test_postscript_under_a_pictures_name_is_not_run(tmp_path):
    """Pillow would hand it to another program."""
    pictures(tmp_path)
    (tmp_path / "cat" / "0.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n")
    complaint(lambda: data.FolderDataset(tmp_path), D, ("0.png", "cannot be read"))


def two_sizes(folder):
    picture(pictures(folder) / "dog" / "0.png", size=(9, 9))
    return data.FolderDataset(folder)


FOLDERS = [
    case("missing", lambda p: data.FolderDataset(p / "none"), D, "no folder", "none"),
    case("empty", lambda p: data.FolderDataset(p), D, "no pictures", "cat/1.png"),
    case("no subfolders", lambda p: (picture(p / "1.png"), data.FolderDataset(p)), D, "no pictures", "subfolder"),
    case("one class", lambda p: data.FolderDataset(pictures(p, ["cat"])), D, "one class only, cat"),
    case("two sizes", two_sizes, D, "cat/0.png is 6x4", "dog/0.png is 9x9", "size=4"),
    case("too few", lambda p: data.FolderDataset(pictures(p, n=1), "val"), D, "2 pictures", "'val'"),
    case("split", lambda p: data.FolderDataset(p, "dev"), A, "'dev'", "train, val, test"),
    case("size 0", lambda p: data.FolderDataset(p, size=0), A, "size", "0"),
    case("channels 2", lambda p: data.FolderDataset(p, channels=2), A, "1 (grey) or 3", "2"),
    case("on_error", lambda p: data.FolderDataset(p, on_error="ignore"), A, "'skip'", "'ignore'"),
    case("option", lambda p: data.get_dataset(f"folder:{p}", sise=3), A, "'sise'", "did you mean size"),
    case("no options", lambda p: data.get_dataset("digits", size=3), A, "'size'"),
]


@pytest.mark.parametrize("call, error, says", FOLDERS)
def test_folder_mistakes(call, error, says, tmp_path):
    complaint(lambda: call(tmp_path), error, says)


def test_links_in_a_folder_lead_to_no_endless_walk(tmp_path):
    pictures(tmp_path)
    os.symlink(tmp_path, tmp_path / "cat" / "again", target_is_directory=True)
    assert len(data.FolderDataset(tmp_path)) == 14
