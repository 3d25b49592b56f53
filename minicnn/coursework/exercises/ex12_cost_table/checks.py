"""Checks of exercise 12: what a network costs, and how far it sees."""

from __future__ import annotations

import math

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong

EXERCISE = Exercise(
    title="What a network costs, and how far it sees",
    asks=("table", "total"),
    variants={
        "ceil": "pools round up, as in GoogLeNet and Caffe",
        "dilated": "convolutions have a dilation",
        "floor": "everything rounds down, no dilation",
    },
)


def rows_of(layers: list[dict], image: tuple, variant: str, slip: str = "") -> list[dict]:
    """The table; ``slip`` names one of the ways to get it wrong."""
    rows, shape, field, jump = [], tuple(image), 1, 1
    for layer in layers:
        groups = 1 if slip == "no groups" else layer.get("groups", 1)
        if layer["kind"] == "linear":
            taps, filters, shape = math.prod(shape), layer["outputs"], (layer["outputs"], 1, 1)
        else:
            kernel, s = layer["kernel"], layer["stride"]
            k = kernel if slip == "no dilation" else layer.get("dilation", 1) * (kernel - 1) + 1
            filters, taps = layer.get("filters", 0), shape[0] // groups * kernel**2
            sides = [places(n, k, s, layer["padding"], layer["kind"], variant, slip) for n in shape[1:]]
            shape = (filters or shape[0], *sides)
            grows = {"by k": k, "no jump": k - 1, "early": (k - 1) * jump * s}
            field, jump = field + grows.get(slip, (k - 1) * jump), jump * s
        biases = filters * bool(layer.get("bias"))
        weights = filters * taps
        counted = weights + (biases if slip == "biases" else 0)
        rows.append({
            "shape": shape, "parameters": weights + (0 if slip == "no biases" else biases),
            "multiply_adds": counted * shape[1] * shape[2], "field": field, "jump": jump,
            "memory": math.prod(shape) * (1 if slip == "numbers" else 4),
        })  # fmt: skip
    return rows


def places(n: int, k: int, s: int, p: int, kind: str, variant: str, slip: str) -> int:
    """In one direction; counted, not computed: every place where a window begins."""
    end = n + (p if slip == "one padding" else 2 * p)
    starts = [i for i in range(0, end, s) if i + k <= end]
    if variant == "ceil" and kind == "pool" and slip != "down":
        following = len(starts) * s
        if starts[-1] + k < end and (following < n + p or slip == "outside"):
            starts.append(following)
    return len(starts)


SLIPS = {
    "no groups": "the groups were ignored: a filter sees channels / groups maps",
    "no dilation": "the dilation was ignored: the window covers d (k - 1) + 1 pixels",
    "by k": "the field grows by k in place of (k - 1) * jump",
    "no jump": "the field grows by k - 1 in place of (k - 1) * jump",
    "early": "the jump holds its own stride already where the field grows; first the field, then the jump",
    "biases": "biases were counted as multiply-adds; they are added only",
    "no biases": "the biases are missing",
    "down": "the number of places was rounded down; pools round up in this variant",
    "outside": "a window that begins behind the image should be left out",
    "one padding": "the padding is on both sides: 2p",
    "numbers": "these are numbers; each has 4 bytes",
}


def conv(
    filters: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1, bias: bool = True, **more
) -> dict:
    sizes = {"kernel": kernel, "stride": stride, "padding": padding}
    return {"kind": "conv", "filters": filters, **sizes, "groups": groups, "bias": bias, **more}


def pool(kernel: int, stride: int, padding: int = 0) -> dict:
    return {"kind": "pool", "kernel": kernel, "stride": stride, "padding": padding}


def network(rng: np.random.Generator, variant: str) -> tuple[list[dict], tuple]:
    """A small AlexNet whose widths are drawn; its image is not square."""
    a, b, c, classes = (int(n) for n in rng.integers(2, 9, 4))
    layers = [
        conv(4 * a, 7, 2, 2), pool(3, 2), conv(4 * b, 5, 1, 2, groups=2), pool(3, 2, 1),
        conv(4 * c, 3, 1, 1, bias=False), conv(4 * c, 3, 2, 1, groups=4),
        {"kind": "linear", "outputs": 10 * classes, "bias": True},
        {"kind": "linear", "outputs": classes, "bias": False},
    ]  # fmt: skip
    if variant == "dilated":
        for layer, dilation in zip([one for one in layers if one["kind"] == "conv"], (1, 2, 3, 1), strict=True):
            layer["dilation"] = dilation
    return layers, (3, 54, 67)


def got_rows(student: Student, layers: list[dict], image: tuple) -> list[dict]:
    """The submission's rows, if they are rows."""
    rows = student.call("table", layers, image)
    if student.changed:
        raise Wrong("table changed its arguments in place")
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, dict) for row in rows):
        raise Wrong("table should return a list of dicts, one for each layer")
    if len(rows) != len(layers):
        raise Wrong(f"table returned {len(rows)} rows for {len(layers)} layers")
    return list(rows)


def compare(student: Student, variant: str, layers: list[dict], image: tuple, keys: tuple[str, ...]) -> None:
    """Compare some columns; where another table with one slip agrees, that is the cause."""
    got, want = got_rows(student, layers, image), rows_of(layers, image, variant)
    for key in keys:
        column = [_plain(row.get(key)) for row in got]
        right = [row[key] for row in want]
        if column == right:
            continue
        for slip, what in SLIPS.items():
            wrong = [row[key] for row in rows_of(layers, image, variant, slip)]
            if column == wrong != right:
                raise Wrong(f"{key!r} is wrong: {what}")
        i = next(i for i, (a, b) in enumerate(zip(column, right, strict=True)) if a != b)
        kind = layers[i]["kind"]
        raise Wrong(f"{key!r} of layer {i} ({kind}) is {str(column[i])[:60]}; it should be {right[i]}")


def _plain(value: object) -> object:
    """Numbers and shapes as Python compares them."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(_plain(v) for v in value)
    if isinstance(value, (int, float, np.number)):
        return value.item() if isinstance(value, np.number) else value
    return None if value is None else str(value)[:60]


@EXERCISE.check(
    points=3, category="the shapes",
    hint="Padding is on both sides. Count the places of a window on a short line of pixels by hand.",
)  # fmt: skip
def shapes(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The shapes of a small AlexNet, and of single windows on lines of 5 to 12 pixels."""
    compare(student, variant, *network(rng, variant), ("shape",))
    for n in range(5, 13):
        for layer in (pool(2, 2), pool(2, 2, 1), pool(3, 2, 1), pool(3, 3, 1)):
            compare(student, variant, [layer], (2, n, n + 1), ("shape",))


@EXERCISE.check(
    points=2, category="the parameters",
    hint="A filter has KH x KW numbers for each channel that it sees (with groups: channels / groups), and one bias.",
)  # fmt: skip
def parameters(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Parameters of each layer of a small AlexNet with groups."""
    compare(student, variant, *network(rng, variant), ("parameters",))


@EXERCISE.check(
    points=2, category="the multiply-adds",
    hint="Each weight of a convolution is multiplied once at every place of the output map; a bias is only added.",
)  # fmt: skip
def multiply_adds(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Multiply-adds of each layer of a small AlexNet with groups."""
    compare(student, variant, *network(rng, variant), ("multiply_adds",))


@EXERCISE.check(points=1, category="the memory", hint="Channels x height x width of the output, 4 bytes each.")
def memory(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Bytes of each layer's output."""
    compare(student, variant, *network(rng, variant), ("memory",))


@EXERCISE.check(
    points=3, category="the receptive field",
    hint="A window reaches from its first pixel to its last: k - 1 steps, each as long as the jump before the layer.",
)  # fmt: skip
def fields(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Field and jump of each layer of a small AlexNet."""
    compare(student, variant, *network(rng, variant), ("field", "jump"))


@EXERCISE.check(
    points=1, category="the totals",
    hint="Parameters and multiply-adds are sums over the layers; of the memory the largest row is wanted.",
)  # fmt: skip
def totals(student: Student, variant: str, rng: np.random.Generator) -> None:
    """total, of a table that is given to it."""
    rows = rows_of(*network(rng, variant), variant)
    got = student.call("total", rows)
    if not isinstance(got, dict):
        raise Wrong("total should return a dict")
    for key, right in (("parameters", sum), ("multiply_adds", sum), ("memory", max)):
        want = right(row[key] for row in rows)
        if _plain(got.get(key)) == want:
            continue
        if key == "memory" and _plain(got.get(key)) == sum(row[key] for row in rows):
            raise Wrong("'memory' is the sum of the rows; the largest is wanted")
        raise Wrong(f"{key!r} is {str(got.get(key))[:60]}; it should be {want}")
