"""The sizes that every kernel over sliding windows takes, worked out once and handed over in one order.

As in the plain room, output pixel (oh, ow) sees, through kernel offset (kh, kw), the input pixel

    ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
"""

from __future__ import annotations

from dataclasses import dataclass

from ..plain.windows import output_size

# The part of a kernel's signature that a Window fills in.
WINDOW = (
    "int h, int w, int channels, int kh_size, int kw_size, int oh_size, int ow_size, "
    "int sh, int sw, int top, int left, int dh, int dw"
)


def ints(values) -> tuple[int, ...]:
    """A tuple of Python ints, whatever the caller had."""
    return tuple(int(v) for v in values)


@dataclass(frozen=True)
class Window:
    """``n`` images (h, w, c), the windows that slide over them, and how many of these there are: (oh, ow)."""

    n: int
    h: int
    w: int
    c: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]  # top, bottom, left, right
    dilation: tuple[int, int]

    @classmethod
    def over(cls, shape: tuple, kernel_size, stride, padding, dilation) -> Window:
        """The windows over images of ``shape`` (N, H, W, C).

        Raises
        ------
        ValueError
            If not one window fits.
        """
        window = cls(*ints(shape), *map(ints, (kernel_size, stride, padding, dilation)))
        if min(window.out) < 1:
            raise ValueError(
                f"a kernel of {window.kernel_size} with dilation {window.dilation} does not fit into an image of "
                f"{(window.h, window.w)} with padding {window.padding} (top, bottom, left, right)"
            )
        return window

    @property
    def out(self) -> tuple[int, int]:
        """(OH, OW)"""
        return output_size((self.h, self.w), self.kernel_size, self.stride, self.padding, self.dilation)

    @property
    def taps(self) -> int:
        """KH*KW"""
        return self.kernel_size[0] * self.kernel_size[1]

    @property
    def sees_one_pixel(self) -> bool:
        """Whether every output pixel sees just the input pixel at its own place, as in a 1x1 convolution."""
        return self.kernel_size == self.stride == (1, 1) and self.padding == (0, 0, 0, 0)

    def numbers(self) -> tuple[int, ...]:
        """The values for ``WINDOW``."""
        top, _, left, _ = self.padding
        return (self.h, self.w, self.c, *self.kernel_size, *self.out, *self.stride, top, left, *self.dilation)
