"""Checks of exercise 11: grouped convolution as a few towers side by side."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, SubmissionError, Wrong, as_numbers, close

EXERCISE = Exercise(
    title="Grouped convolution is a few towers side by side",
    asks=("grouped_conv", "grouped_conv_backward", "from_towers", "as_ordinary"),
    variants={
        "interleaved": "group g has input and output channels g, g + G, g + 2G, ...",
        "shuffled": "a group sees neighbouring channels, and its outputs are dealt out (channel shuffle)",
        "blocked": "neighbouring channels form a group, as in minicnn and PyTorch",
    },
    forbidden=("conv2d", "conv2d_input_grad", "conv2d_weight_grad"),
)


def members(count: int, groups: int, dealt: bool) -> np.ndarray:
    """Which channels belong to each group: (G, count/G)."""
    return np.arange(count).reshape(-1, groups).T if dealt else np.arange(count).reshape(groups, -1)


def ordinary(w: np.ndarray, groups: int, variant: str) -> np.ndarray:
    """By the definition: the weight (F, C, KH, KW) that is 0 wherever a filter does not see a channel."""
    f, seen, kh, kw = w.shape
    whole = np.zeros((f, seen * groups, kh, kw))
    sees = members(seen * groups, groups, variant == "interleaved")
    for g, filters in enumerate(members(f, groups, variant != "blocked")):
        whole[np.ix_(filters, sees[g])] = w[filters]
    return whole


def conv(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """An ordinary convolution: y (N, F, OH, OW)."""
    return np.einsum("ncijab,fcab->nfij", np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)


def arrays(rng: np.random.Generator, groups: int, c: int, f: int, images: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """x (N, C, 5, 6), and w (F, C/G, 2, 3)."""
    return rng.standard_normal((images, c, 5, 6)), rng.standard_normal((f, c // groups, 2, 3))


def output(student: Student, x: np.ndarray, w: np.ndarray, groups: int) -> tuple[object, object]:
    """The submission's y and cache."""
    result = student.call("grouped_conv", x, w, groups)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("grouped_conv should return two things: y and the cache")
    if student.changed:
        raise Wrong("grouped_conv changed one of its arguments in place; work on a copy")
    return result


def forward(student: Student, variant: str, x: np.ndarray, w: np.ndarray, groups: int) -> None:
    """Compare the output with the definition, and with the ways in which groups get lost."""
    c, f, seen = x.shape[1], len(w), w.shape[1]
    want = conv(x, ordinary(w, groups, variant))
    towers = [
        conv(x[:, channels], w[filters])
        for channels, filters in zip(
            members(c, groups, variant == "interleaved"), members(f, groups, variant != "blocked"), strict=True
        )
    ]
    causes = {
        "every filter sees the channels of the first group; group g has channels of its own": conv(x[:, :seen], w),
        "every filter sees all channels: the groups were ignored": conv(x, np.tile(w, (1, groups, 1, 1))),
        "the groups' outputs were joined along axis 0, the images; axis 1 is the channels": np.concatenate(towers),
    }
    causes |= neighbours(variant, want, conv(x, ordinary(w, groups, "blocked")))
    if variant != "blocked":
        joined = "the groups' outputs lie one after the other; in this variant output channels 0, 1, ... take turns"
        causes[joined] = np.concatenate(towers, axis=1)
    try:
        y, _ = output(student, x, w, groups)
    except SubmissionError as error:
        if "not written" in str(error):
            raise
        axes = "of x and y axis 1 is the channels, of w axis 0 is the filters"
        raise Wrong(f"{error}\nIs the right axis sliced? Note that {axes}") from None
    close(y, want, f"y for G = {groups}, C = {c}, F = {f}", causes)


def neighbours(variant: str, want: np.ndarray, blocked: np.ndarray) -> dict[str, np.ndarray]:
    """The mistake of taking the frameworks' order, where it is one."""
    if variant == "blocked" or np.allclose(want, blocked):
        return {}
    return {"neighbouring channels form a group, as in PyTorch; in this variant they do not": blocked}


@EXERCISE.check(
    points=2, category="the forward pass of two towers",
    hint="For each group: take its channels of x (axis 1) and its filters of w (axis 0), convolve, and put the result "
    "where its output channels are.",
)  # fmt: skip
def two_groups(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Two groups of 2 channels and 2 filters each."""
    forward(student, variant, *arrays(rng, 2, 4, 4), 2)


@EXERCISE.check(
    points=2, category="groups with more or fewer filters than channels",
    hint="A group has C/G input channels and F/G filters: two numbers, one for slices of x, one for slices of w and y.",
)  # fmt: skip
def unequal(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Three groups: 6 channels and 9 filters, then 9 channels and 6 filters."""
    for c, f in ((6, 9), (9, 6)):
        forward(student, variant, *arrays(rng, 3, c, f), 3)


@EXERCISE.check(
    points=1, category="one channel in each group",
    hint="G = C is a depthwise convolution: w is (F, 1, KH, KW), and each channel has a filter of its own.",
)  # fmt: skip
def depthwise(student: Student, variant: str, rng: np.random.Generator) -> None:
    """As many groups as channels and filters (4), and five images."""
    forward(student, variant, *arrays(rng, 4, 4, 4, images=5), 4)


def backward(student: Student, variant: str, rng: np.random.Generator, which: int) -> None:
    """Compare dx (0) or dw (1) of six channels and four filters in two groups, then gradcheck it."""
    x, w = arrays(rng, 2, 6, 4)
    dout = rng.standard_normal((2, 4, 4, 4))
    wants = gradients(dout, x, w, variant)
    got = both(student, dout, x, w)
    name = ("dx", "dw")[which]
    sees, filters = members(6, 2, variant == "interleaved"), members(4, 2, variant != "blocked")
    again = dout.copy()
    again[:, filters[1]] = dout[:, filters[0]]
    causes = {
        "every group was handed the gradient of the first group's outputs": gradients(again, x, w, variant)[which],
        **neighbours(variant, wants[which], gradients(dout, x, w, "blocked")[which]),
    }
    if which == 0:
        offset = np.zeros(x.shape)
        for g in (0, 1):  # two filters, three channels in a group
            offset[:, 2 * g : 2 * g + 3] += wants[0][:, sees[g]]
        causes["the channels of group g begin at g * C/G; here they begin at g * F/G, where its filters do"] = offset
    else:
        summed = np.empty(w.shape)
        summed[filters[0]] = summed[filters[1]] = wants[1][filters[0]] + wants[1][filters[1]]
        causes["every filter has the sum over the groups; each group has filters of its own"] = summed
    close(got[which], wants[which], name, causes)


def gradients(dout, x, w, variant) -> tuple[np.ndarray, np.ndarray]:
    """dx and dw by the definition: those of the ordinary convolution, where a weight is no constant 0."""
    whole = ordinary(w, 2, variant)
    views = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    dwhole = np.einsum("ncijab,nfij->fcab", views, dout)
    padded = np.pad(dout, ((0, 0), (0, 0), (w.shape[2] - 1,) * 2, (w.shape[3] - 1,) * 2))
    dx = conv(padded, whole[:, :, ::-1, ::-1].swapaxes(0, 1))
    is_free = ordinary(np.ones(w.shape), 2, variant) == 1
    return dx, dwhole[is_free].reshape(w.shape)  # row f keeps the channels that filter f sees, in their order


def both(student: Student, dout, x, w) -> tuple[object, object]:
    result = student.call("grouped_conv_backward", dout, output(student, x, w, 2)[1])
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong("grouped_conv_backward should return two gradients: dx and dw")
    return as_numbers(result[0], "dx"), as_numbers(result[1], "dw")


@EXERCISE.check(
    points=2, category="the gradient of the input",
    hint="A group hands its part of dout back to the channels that it saw, and to no others.",
)  # fmt: skip
def input_gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx for 6 channels, 4 filters, 2 groups."""
    backward(student, variant, rng, 0)


@EXERCISE.check(
    points=2, category="the gradient of the weight",
    hint="dw of a group comes from its channels of x and its channels of dout, and belongs to its rows of w.",
)  # fmt: skip
def weight_gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dw for 6 channels, 4 filters, 2 groups."""
    backward(student, variant, rng, 1)


@EXERCISE.check(
    points=1, category="one weight from the towers' weights",
    hint="Row f of w is the filter of output channel f. Which tower has that channel, and which of its filters is it?",
)  # fmt: skip
def towers(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Three towers of two filters and four channels each."""
    weights = [rng.standard_normal((2, 4, 3, 2)) for _ in range(3)]
    want = np.empty((6, 4, 3, 2))
    for filters, tower in zip(members(6, 3, variant != "blocked"), weights, strict=True):
        want[filters] = tower
    close(student.call("from_towers", weights), want, "from_towers", {
        "the towers were joined along axis 1, the channels; w has as many channels as one tower, and more filters":
            np.concatenate(weights, axis=1),
        **neighbours(variant, want, np.concatenate(weights)),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="the same as an ordinary convolution",
    hint="Start with zeros (F, C, KH, KW), and copy each filter to the channels that it sees.",
)  # fmt: skip
def as_ordinary(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The weight with zeros, for 6 channels, 4 filters, 2 groups."""
    _, w = arrays(rng, 2, 6, 4)
    close(student.call("as_ordinary", w, 2), ordinary(w, 2, variant), "as_ordinary", {
        "each filter is repeated for all channels; where a filter does not see a channel it should be 0":
            np.tile(w, (1, 2, 1, 1)),
        **neighbours(variant, ordinary(w, 2, variant), ordinary(w, 2, "blocked")),
    })  # fmt: skip
