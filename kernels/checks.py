"""Compiled code does not look before it reads or writes: a shape that does not fit must raise before it gets there.

Shapes are named as the compiled rooms, cpu and cuda, have them: channels-last.
"""

from __future__ import annotations

from .plain.windows import output_size


def same_shape(kernel: str, **arrays) -> None:
    """All of them have one shape, e.g. ``same_shape("relu_backward", grad=grad, y=y)``."""
    if len({a.shape for a in arrays.values()}) > 1:
        listed = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
        raise ValueError(f"{kernel}: the shapes must be equal (channels-last): {listed}")


def one_each(kernel: str, length: int, of: str, **vectors) -> None:
    """Each vector holds one number for each of the ``length`` channels (or rows)."""
    shape = (length,)
    for name, v in vectors.items():
        if v.shape != shape:
            raise ValueError(f"{kernel}: {length} {of} need a {name} of shape ({length},), got {v.shape}")


def whole(kernel: str, labels) -> None:
    """Labels are whole numbers."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{kernel}: labels are whole numbers, got {labels.dtype}")


def labels_in_range(kernel: str, labels, classes: int) -> None:
    """Labels are whole numbers that name a class; negative ones count from the end, as in NumPy."""
    whole(kernel, labels)
    if labels.size:
        lowest, highest = int(labels.min()), int(labels.max())  # on a device, this waits for it
        if not -classes <= lowest <= highest < classes:
            raise IndexError(f"{kernel}: labels {lowest} to {highest}, but there are {classes} classes")


def pooled_size(kernel: str, grad, input_size, kernel_size, stride, padding, dilation=(1, 1)) -> None:
    """The gradient has the size that pooling an image of ``input_size`` gives, rounded down or (``ceil_mode``) up."""
    rounded_down = output_size(input_size, kernel_size, stride, padding, dilation)
    if any(o not in (floor, floor + 1) for o, floor in zip(grad.shape[1:3], rounded_down)):
        raise ValueError(
            f"{kernel}: an image of {tuple(input_size)} is pooled to {rounded_down}, or one more with ceil_mode; "
            f"the gradient has {grad.shape[1:3]}"
        )
