"""A recorded model as a PyTorch module: the same operations on the same weights, as a user of PyTorch would write them.

That includes what torchvision's models do to be fast: ReLU and the residual addition work in place where nobody else
needs what they overwrite. A value is let go after its last use.
"""

from __future__ import annotations

from collections.abc import Callable

import drawn
import torch
import torch.nn.functional as TF

OVERWRITABLE = ("conv2d", "batch_norm", "linear", "add", "cat")  # operations whose backward does not need their result
IN_PLACE = ("relu", "relu6", "add")


class Replay(torch.nn.Module):
    """``program`` as :func:`recording.record` made it; ``layout`` is the memory format of images and 4-d weights.

    ``dropout`` switches all dropout layers off (False) or on.
    """

    def __init__(self, program: dict, layout: torch.memory_format) -> None:
        super().__init__()
        self.dropout = True
        self.keys = {name: f"w{i}" for i, name in enumerate(program["weights"])}  # PyTorch allows no dots in names
        for name, (shape, learned) in program["weights"].items():
            tensor = in_layout(drawn.weight(name, tuple(shape)), layout)
            if learned:
                self.register_parameter(self.keys[name], torch.nn.Parameter(tensor))
            else:
                self.register_buffer(self.keys[name], tensor)
        self.outputs = program["outputs"]
        self.steps = [self._step(step, free, alone) for step, free, alone in lifetimes(program)]

    def _step(self, step: dict, free: list[int], alone: bool):
        """(what to call, its inputs, its options, number of the value, values to let go)"""
        op, options = step["op"], dict(step["options"])
        if op not in OPERATIONS:
            raise ValueError(f"{op} has no translation into PyTorch; add it to OPERATIONS in benchmarks/replay.py")
        if op in IN_PLACE:
            options["in_place"] = alone
        fixed = {k: self._tensor(v) for k, v in options.items()}
        return OPERATIONS[op], [self._tensor(i) for i in step["inputs"]], fixed, step["value"], free

    def _tensor(self, source):
        is_weight = isinstance(source, tuple) and source[:1] == ("weight",)
        return getattr(self, self.keys[source[1]]) if is_weight else source

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        values: dict[int, torch.Tensor] = {0: x}
        del x
        for function, inputs, options, number, free in self.steps:
            arguments = [values[i] if isinstance(i, int) else i for i in inputs]
            if function is dropout:
                values[number] = dropout(*arguments, **options, on=self.dropout)
            else:
                values[number] = function(*arguments, **options)
            del arguments
            for i in free:
                del values[i]
        return [values[i] for i in self.outputs]


def in_layout(array, layout: torch.memory_format) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor


def lifetimes(program: dict):
    """For each step: itself, the values nobody needs after it, and whether it may overwrite its first input."""
    steps, outputs = program["steps"], program["outputs"]
    uses: dict[int, list[int]] = {}  # value: which steps take it
    for at, step in enumerate(steps):
        for i in step["inputs"]:
            if isinstance(i, int):
                uses.setdefault(i, []).append(at)
    made_by = {step["value"]: step["op"] for step in steps}
    for at, step in enumerate(steps):
        numbers = {i for i in step["inputs"] if isinstance(i, int)}
        first = step["inputs"][0]
        alone = made_by.get(first) in OVERWRITABLE and uses[first] == [at] and first not in outputs
        yield step, [i for i in numbers if uses[i][-1] == at and i not in outputs], alone


# The operations: inputs by position, options by name, as minicnn's Functions have them -------------------------------
def conv2d(x, weight, bias, stride, padding, dilation, groups, algorithm):
    """``algorithm`` is ours alone."""
    x, padding = _even(x, padding, 0.0)
    return TF.conv2d(x, weight, bias, stride, padding, dilation, groups)


def max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode):
    x, padding = _even(x, padding, -torch.inf)
    return TF.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad):
    top, bottom, left, right = padding
    if (top, left) != (bottom, right):
        raise ValueError(f"avg_pool2d: PyTorch has no padding {padding} that differs between the sides")
    return TF.avg_pool2d(x, kernel_size, stride, (top, left), ceil_mode, count_include_pad)


def _even(x, padding, value):
    """PyTorch pads both sides alike; what is uneven is put around the image first."""
    top, bottom, left, right = padding
    if (top, left) == (bottom, right):
        return x, (top, left)
    return TF.pad(x, (left, right, top, bottom), value=value), (0, 0)


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps):
    return TF.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def local_response_norm(x, size, alpha, beta, k, average):
    return TF.local_response_norm(x, size, alpha if average else alpha * size, beta, k)


def dropout(x, p, seed, offset, on):
    """``seed`` and ``offset`` are ours alone."""
    return TF.dropout(x, p, training=on)


def relu(x, in_place):
    return torch.relu_(x) if in_place else torch.relu(x)


def relu6(x, in_place):
    return TF.relu6(x, inplace=in_place)


def add(a, b, in_place):
    return a.add_(b) if in_place and a.shape == torch.broadcast_shapes(a.shape, b.shape) else a + b


def pad(x, widths, value):
    return TF.pad(x, [n for pair in reversed(widths) for n in pair], value=value)


OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "conv2d": conv2d,
    "linear": TF.linear,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": TF.adaptive_avg_pool2d,
    "batch_norm": batch_norm,
    "local_response_norm": local_response_norm,
    "dropout": dropout,
    "relu": relu,
    "relu6": relu6,
    "add": add,
    "pad": pad,
    "reshape": lambda x, shape: x.reshape(shape),
    "getitem": lambda x, index: x[index],
    "cat": lambda *parts, axis: torch.cat(parts, axis),
    "channel_shuffle": TF.channel_shuffle,
}
