"""Folders of pictures."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from archives import picture
from mistakes import case, complaint
from PIL import Image

import minicnn as mc
from minicnn import data
from minicnn.data import splits

D, A = mc.DataError, mc.ArgumentError


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


def test_pattern(tmp_path):
    """Only files whose names it fits count, for the splits too; the others, and classes without any, are ignored."""
    pictures(tmp_path, n=10)
    strays = [
        picture(tmp_path / "dog" / "a.jpg", size=(9, 9)), picture(tmp_path / "cat" / "in" / "b.jpg"),
        picture(tmp_path / "fox" / "c.jpg"),
    ]  # fmt: skip
    by_split = {split: data.get_dataset(f"folder:{tmp_path}", split, pattern="*.png") for split in splits.SPLITS}
    assert {s: len(d) for s, d in by_split.items()} == {"train": 14, "val": 2, "test": 4}
    train = by_split["train"]
    assert train.classes == ("cat", "dog") and sorted(train.ignored) == sorted(strays)
    few = data.FolderDataset(tmp_path, "test", pattern="[0-3].png", size=3, channels=1)
    assert [p.name for p in few.paths] == ["3.png", "3.png"] and few.image_shape == (1, 3, 3)


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
    Image.fromarray(np.full((4, 6), 255, np.uint8)).convert("P").save(tmp_path / "cat" / "0.png", transparency=b"\0")
    assert data.FolderDataset(tmp_path)[0][0].shape == (3, 4, 6)
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


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_picture_cut_off_after_the_data_set_was_made(workers, tmp_path):
    """The loader says which; the batches before it came; no thread hangs or stays; the next epoch says it again."""
    dataset = data.FolderDataset(pictures(tmp_path, size=(60, 60)))
    broken = dataset.paths[9]
    Image.effect_noise((60, 60), 90).convert("RGB").save(broken)
    broken.write_bytes(broken.read_bytes()[:2000])
    loader, batches = data.Loader(dataset, 2, workers=workers), []

    def epoch():
        try:
            for batch in loader:
                batches.append(batch)
        except mc.MinicnnError as error:
            batches.append(error)

    for _ in range(2):
        batches.clear()
        thread = threading.Thread(target=epoch, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "the loader hangs"
        assert len(batches) == 5 and isinstance(batches[-1], D)
        assert str(broken) in str(batches[-1]) and "cannot be read" in str(batches[-1])
        assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_postscript_under_a_pictures_name_is_not_run(tmp_path):
    """Pillow would hand it to another program."""
    pictures(tmp_path)
    (tmp_path / "cat" / "0.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n")
    complaint(lambda: data.FolderDataset(tmp_path), D, ("0.png", "cannot be read"))


def two_sizes(folder):
    picture(pictures(folder) / "dog" / "0.png", size=(9, 9))
    return data.FolderDataset(folder)


def broken(folder):
    for path in pictures(folder).rglob("*.png"):
        path.write_text("no picture")
    return folder


FOLDERS = [
    case("missing", lambda p: data.FolderDataset(p / "none"), D, "no folder", "none"),
    case("empty", lambda p: data.FolderDataset(p), D, "no pictures", "cat/1.png"),
    case("no subfolders", lambda p: (picture(p / "1.png"), data.FolderDataset(p)), D, "no pictures", "subfolder"),
    case("one class", lambda p: data.FolderDataset(pictures(p, ["cat"])), D, "one class only, cat"),
    case("two sizes", two_sizes, D, "cat/0.png is 6x4", "dog/0.png is 9x9", "size=4"),
    case("all unreadable", lambda p: data.FolderDataset(broken(p), on_error="skip"), D, "no picture", "14"),
    case("too few", lambda p: data.FolderDataset(pictures(p, n=1), "val"), D, "2 pictures", "'val'"),
    case("pattern", lambda p: data.FolderDataset(pictures(p), pattern="*.PNG"), D, "'*.PNG'", "20", "cat/0.png"),
    case("pattern 3", lambda p: data.FolderDataset(p, pattern=3), A, "pattern", "'*.png'", "3"),
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
