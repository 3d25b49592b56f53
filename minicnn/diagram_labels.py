"""What an architecture diagram calls an operation, and which colour it has."""

from __future__ import annotations

from .trace import Step

#: kinds of boxes: what the legend says, and their colour
KINDS = {
    "conv": ("convolution", "#a6c8e8"),
    "depthwise": ("depthwise convolution", "#cfe3c8"),
    "pool": ("pooling", "#f3b0a6"),
    "norm": ("norm", "#f6e3a1"),
    "fc": ("fully connected", "#c9b8e0"),
    "merge": ("sum, concatenation", "#f2c48d"),
    "other": ("other", "#dddddd"),
}
NAMES = {
    "batch_norm": "BN", "relu": "ReLU", "relu6": "ReLU6", "leaky_relu": "leaky ReLU", "log_softmax": "log-softmax",
    "neg": "minus", "pow": "power", "mean": "mean", "add": "shift", "sub": "shift", "mul": "scale", "div": "scale",
}  # fmt: skip
SIGNS = {"add": "+", "sub": "\N{MINUS SIGN}", "mul": "\N{MULTIPLICATION SIGN}", "div": "/"}
ORDINAL = {2: "nd", 3: "rd"}
SILENT = ("cast", "clone", "dropout")
OWN_BOX = (
    "conv2d", "linear", "matmul", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "local_response_norm", "cat",
)  # fmt: skip


def note(step: Step) -> str | None:
    """What is written behind an operation's label if ``step`` follows it; "": nothing; None: it needs its own box."""
    if step.op in OWN_BOX or step.op is None or len(set(step.sources)) > 1:
        return None
    if step.op in SILENT or step.op == "add" and () in step.input_shapes:  # sum(...) begins with 0 + the first
        return ""
    if step.op == "reshape":
        return _reshape(step)
    if step.op == "channel_shuffle":
        return None if step.options["groups"] > 1 else ""
    if step.op == "getitem":
        return None if _slices(step) else "part"
    if step.op == "pad":
        return _padding(step)
    return NAMES.get(step.op, step.op)


def kind(step: Step | None, notes: list[str] = ()) -> str:
    """A key of :data:`KINDS`; without a step, that of what consists of ``notes``."""
    if step is None:
        return "norm" if "BN" in notes else "other"
    if step.op == "conv2d":
        return "depthwise" if _depthwise(step) else "conv"
    if step.op in ("linear", "matmul"):
        return "fc"
    if step.op in ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"):
        return "pool"
    if step.op == "local_response_norm":
        return "norm"
    return "merge" if len(set(step.sources)) > 1 else "other"


def sign(step: Step | None) -> str | None:
    """Of arithmetic between two branches: what stands in its circle."""
    return SIGNS.get(step.op) if step is not None and len(set(step.sources)) > 1 else None


def title(step: Step) -> str:
    """Such as ``conv 3x3, 64, /2``: window, channels, stride; more only where it is not the usual."""
    op, out = step.op, step.output_shape
    if op == "conv2d":
        return _conv(step)
    if op in ("linear", "matmul"):
        return f"{'fc' if op == 'linear' else op}, {out[-1]}"
    if op in ("max_pool2d", "avg_pool2d"):
        return f"{'max' if op == 'max_pool2d' else 'average'} pool {sides(step.window.kernel_size)}{_stride(step)}"
    if op == "adaptive_avg_pool2d":
        return "global average pool" if out[2:] == (1, 1) else f"average pool to {sides(out[2:])}"
    if op == "local_response_norm":
        return "response norm"
    if op == "cat":
        return f"concat, {out[1]}" if step.options.get("axis", 1) % len(out) == 1 else "concat"
    if op == "channel_shuffle":
        return f"channel shuffle, {step.options['groups']} groups"
    if op == "getitem":
        return _slices(step) or "part"
    return step.function if op is None else sign(step) or NAMES.get(op, op)


def short(step: Step) -> str:
    """The title without words where many stand in one line: ``3x3 64``."""
    if step.op == "conv2d":
        words = f"{sides(step.window.kernel_size)} {step.output_shape[1]}{_stride(step, ' ')}"
        return f"depthwise {words}" if _depthwise(step) else words
    return "pool" if kind(step) == "pool" else title(step)


def map_size(step: Step) -> str:
    """Rows and columns of what it gives, ``56x56``; "" if that is no map."""
    return sides(step.output_shape[2:]) if len(step.output_shape) == 4 else ""


def _conv(step: Step) -> str:
    seen, groups = step.window, step.options.get("groups", 1)
    depthwise = _depthwise(step)
    words = f"{'depthwise' if depthwise else 'conv'} {sides(seen.kernel_size)}, {step.output_shape[1]}{_stride(step)}"
    words += f", {groups} groups" if groups > 1 and not depthwise else ""
    return words + (f", dilation {_one(seen.dilation)}" if max(seen.dilation) > 1 else "")


def _depthwise(step: Step) -> bool:
    return 1 < step.options.get("groups", 1) == step.input_shapes[0][1]


def _stride(step: Step, comma: str = ", ") -> str:
    stride = step.window.stride
    return f"{comma}/{_one(stride)}" if max(stride) > 1 else ""


def sides(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


def _one(pair: tuple[int, ...]) -> str:
    """2 instead of 2x2."""
    return str(pair[0]) if len(set(pair)) == 1 else sides(pair)


def _reshape(step: Step) -> str:
    before, after = step.input_shapes[0], step.output_shape
    if len(before) == 4 and len(after) == 2:
        return "flatten" if before[2:] != (1, 1) else ""
    return "reshape"


def _slices(step: Step) -> str:
    """What a slice of maps takes: every second pixel, some channels; "" if it is something else."""
    index, shape = step.options.get("index"), step.input_shapes[0]
    if not isinstance(index, tuple) or len(shape) != 4 or not all(isinstance(i, slice) for i in index):
        return ""
    index = (*index, *[slice(None)] * (4 - len(index)))
    words = []
    if index[1] != slice(None):
        first, last, _ = index[1].indices(shape[1])
        words.append(f"channels {first} to {last - 1}")
    jump = max(i.step or 1 for i in index[2:])
    if jump > 1:
        words.append(f"every {jump}{ORDINAL.get(jump, 'th')} pixel")
    elif index[2:] != (slice(None), slice(None)):
        words.append(f"crop {sides(step.output_shape[2:])}")
    return ", ".join(words)


def _padding(step: Step) -> str:
    widths = step.options.get("widths", ())
    if len(widths) == 4 and not any(map(any, widths[2:])):
        return f"{sum(widths[1])} zero maps"
    return "pad"
