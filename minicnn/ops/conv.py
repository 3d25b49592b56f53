"""2-d convolution. The arithmetic stands in ``kernels/plain/conv.py``; here is what autograd needs to know about it."""

from __future__ import annotations

from .. import kernels
from ..autograd import Function
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register

ALGORITHMS = ("auto", "im2col", "winograd", "direct")


@register("conv2d")
class Conv2d(Function):
    """y[n, o, oh, ow] = b[o] + sum over c, kh, kw of  w[o, c, kh, kw] x[n, c, oh s + kh d - p, ow s + kw d - p]

    y is linear in x, in w and in b, so each gradient is the same sum read from another side:

    dx[n, c, ih, iw] = sum over o, kh, kw of  w[o, c, kh, kw] dy[n, o, oh, ow]   where  ih = oh s + kh d - p, iw alike
    dw[o, c, kh, kw] = sum over n, oh, ow of  x[n, c, oh s + kh d - p, ow s + kw d - p] dy[n, o, oh, ow]
    db[o]            = sum over n, oh, ow of  dy[n, o, oh, ow]
    """

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation, groups, algorithm="auto"):
        ctx.save_for_backward(x, weight)  # x (N, C, H, W), weight (O, C/G, KH, KW)
        ctx.geometry = (stride, padding, dilation, groups, algorithm)
        return kernels.conv2d(x, weight, bias, *ctx.geometry)  # (N, O, OH, OW)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved
        need_x, need_weight, need_bias = ctx.needs_input_grad
        dx = kernels.conv2d_input_grad(grad, weight, x.shape[2:], *ctx.geometry) if need_x else None
        dweight = kernels.conv2d_weight_grad(grad, x, weight.shape[2:], *ctx.geometry) if need_weight else None
        dbias = kernels.channel_sum(grad) if need_bias else None
        return dx, dweight, dbias


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups: int = 1, algorithm: str = "auto") -> Tensor:
    """Convolve images with learned filters (cross-correlation, as in every CNN paper).

    Parameters
    ----------
    x : Tensor, (N, C, H, W)
    weight : Tensor, (O, C / groups, KH, KW)
    bias : Tensor, (O,), optional
    stride, dilation : int or (rows, columns)
    padding : int, (rows, columns), (top, bottom, left, right), ``"valid"`` or ``"same"``
        Rows and columns of zeros around the image.
    groups : int
        Group g of the outputs sees only group g of the inputs (AlexNet's two towers; ``groups=C`` is depthwise).
    algorithm : {"auto", "im2col", "winograd", "direct"}
        How the cpu room computes it and its gradients: by im2col and a matrix product; a 3x3 convolution of stride 1 by
        Winograd's F(4x4, 3x3), which multiplies a quarter as often and loses a digit; or, without groups and dilation,
        directly from the image, which is fast where channels are few. "auto" takes what promises to be fastest, and
        computes many small groups side by side in the lanes of vectors. The other rooms have one way each, and float64
        takes neither Winograd's nor the direct one.

    Returns
    -------
    Tensor, (N, O, OH, OW)
        OH = floor((H + top + bottom - dilation (KH - 1) - 1) / stride) + 1, OW likewise.

    Raises
    ------
    ShapeError
        If channels, groups or sizes do not fit; the message gives both numbers.
    ArgumentError
        If an option has a senseless value.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)  # (N, C, H, W)
    >>> corners = np.array([[[[1.0, 0.0], [0.0, 1.0]]]])  # (O, C, KH, KW): a pixel and the one below right of it
    >>> conv2d(x, corners).data[0, 0].tolist()
    [[4.0, 6.0], [10.0, 12.0]]
    >>> conv2d(x, corners, stride=2, padding=1).shape
    (1, 1, 2, 2)
    """
    x, weight = as_tensor(x), as_tensor(weight)
    checks.images("conv2d", x)
    checks.computable("conv2d", weight)
    filters, channels = weight.shape, x.shape[1]
    if len(filters) != 4:
        raise ShapeError(f"conv2d: the weight must be (O, C/groups, KH, KW), got shape {filters}")
    groups = checks.whole("conv2d", "groups", groups)
    if channels % groups or filters[0] % groups:
        raise ShapeError(
            f"conv2d: groups={groups} must divide the {channels} input channels and the {filters[0]} output channels"
        )
    takes = filters[1] * groups
    if channels != takes:
        hint = "; channels come second: x.transpose(0, 3, 1, 2)" if x.shape[3] == takes else ""
        raise ShapeError(
            f"conv2d: the input has {channels} channels (shape {x.shape}), but the weight {filters} with "
            f"groups={groups} takes {takes}{hint}"
        )
    if bias is not None and as_tensor(bias).shape != filters[:1]:
        raise ShapeError(f"conv2d: the bias must have shape {filters[:1]}, got {as_tensor(bias).shape}")
    if algorithm not in ALGORITHMS:
        raise ArgumentError(f"conv2d: algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    kernel_size = filters[2:]
    stride, dilation = checks.pair("conv2d", "stride", stride), checks.pair("conv2d", "dilation", dilation)
    padding = checks.sides("conv2d", padding, kernel_size, stride, dilation)
    checks.output_size("conv2d", x, kernel_size, stride, padding, dilation)
    if algorithm == "winograd" and (kernel_size, stride, dilation, groups) != ((3, 3), (1, 1), (1, 1), 1):
        raise ArgumentError(
            f"conv2d: algorithm='winograd' is for 3x3 kernels with stride 1, no dilation and one group, not for kernel "
            f"{kernel_size}, stride {stride}, dilation {dilation}, groups {groups}; 'auto' chooses"
        )
    if algorithm == "direct" and (dilation, groups) != ((1, 1), 1):
        raise ArgumentError(
            f"conv2d: algorithm='direct' is for one group and no dilation, not for groups {groups} and dilation "
            f"{dilation}; 'auto' chooses"
        )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "algorithm": algorithm}
    return apply_op("conv2d", x, weight, bias, **options)
