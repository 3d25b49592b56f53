"""What runs on the metal: arrays in, arrays out. No autograd, no Tensor.

Every name in :data:`KERNELS` exists in each *room*, under the same file name, function name and argument order:

========  =============================================================================================
plain     the definition: short NumPy on logical (N, C, H, W) arrays. Read this first; edit it freely.
cpu       Numba, fast, on the same numbers laid out channels-last: C-contiguous (N, H, W, C).
cuda      CUDA kernels (.cu), on the same channels-last numbers in a device's memory: a GPU's through
          CuPy, or, with the same text, that of the simulator in ``kernels/sim``.
========  =============================================================================================

``kernels.conv2d(x, ...)`` takes logical (N, C, H, W) arrays of any strides and picks the room: the one chosen with
:class:`use_room` (or the environment variable ``MINICNN_ROOM``), else ``cpu``. Arrays on a device go to the ``cuda``
room, always. The adapter in :mod:`.layout` alone transposes, copies and replaces ``None`` on the way.
"""

from __future__ import annotations

from .layout import FLAT, IMAGE, STATISTIC, UPDATED, VECTOR
from .rooms import Kernel, current_room, get_num_threads, set_num_threads, use_room
from .shapes import shapes_only

NORM = (STATISTIC, STATISTIC, VECTOR)  # mean, variance, weight

#: name -> Kernel. The roles of the leading array arguments tell the layout adapter what it may transpose; options
#: (kernel sizes, strides, rates) follow them in every room in the same order.
KERNELS = {
    kernel.name: kernel
    for kernel in (
        # name, file, roles of the array arguments, roles of the results, numbers of the arguments that may be None
        Kernel("conv2d", "conv", (IMAGE, IMAGE, VECTOR), (IMAGE,), optional=(2,)),
        Kernel("conv2d_input_grad", "conv", (IMAGE, IMAGE), (IMAGE,)),
        Kernel("conv2d_weight_grad", "conv", (IMAGE, IMAGE), (IMAGE,)),
        Kernel("im2col", "im2col", (IMAGE,), (VECTOR,)),
        Kernel("col2im", "im2col", (VECTOR,), (IMAGE,)),
        Kernel("matmul", "gemm", (VECTOR, VECTOR), (VECTOR,)),
        Kernel("max_pool2d", "pooling", (IMAGE,), (IMAGE, IMAGE)),
        Kernel("max_pool2d_backward", "pooling", (IMAGE, IMAGE), (IMAGE,)),
        Kernel("avg_pool2d", "pooling", (IMAGE,), (IMAGE,)),
        Kernel("avg_pool2d_backward", "pooling", (IMAGE,), (IMAGE,)),
        Kernel("adaptive_avg_pool2d", "pooling", (IMAGE,), (IMAGE,)),
        Kernel("adaptive_avg_pool2d_backward", "pooling", (IMAGE,), (IMAGE,)),
        Kernel("channel_sum", "batch_norm", (IMAGE,), (VECTOR,)),
        Kernel("channel_stats", "batch_norm", (IMAGE,), (VECTOR, VECTOR)),
        Kernel("batch_norm", "batch_norm", (IMAGE, *NORM, VECTOR), (IMAGE,)),
        Kernel("batch_norm_backward", "batch_norm", (IMAGE, IMAGE, *NORM), (IMAGE, VECTOR, VECTOR)),
        Kernel("batch_norm_relu", "batch_norm_relu", (IMAGE, *NORM, VECTOR, IMAGE), (IMAGE,), optional=(5,)),
        Kernel("batch_norm_relu_backward", "batch_norm_relu", (IMAGE, IMAGE, *NORM, VECTOR), (IMAGE, VECTOR, VECTOR)),
        Kernel("local_response_norm", "lrn", (IMAGE,), (IMAGE,)),
        Kernel("local_response_norm_backward", "lrn", (IMAGE, IMAGE), (IMAGE,)),
        Kernel("relu", "relu", (FLAT,), (FLAT,)),
        Kernel("relu_backward", "relu", (FLAT, FLAT), (FLAT,)),
        Kernel("relu6", "relu", (FLAT,), (FLAT,)),
        Kernel("relu6_backward", "relu", (FLAT, FLAT), (FLAT,)),
        Kernel("leaky_relu", "relu", (FLAT,), (FLAT,)),
        Kernel("leaky_relu_backward", "relu", (FLAT, FLAT), (FLAT,)),
        Kernel("softmax_cross_entropy", "cross_entropy", (VECTOR, VECTOR), (VECTOR, VECTOR)),
        Kernel("softmax_cross_entropy_backward", "cross_entropy", (VECTOR, VECTOR, VECTOR), (VECTOR,)),
        Kernel("dropout", "dropout", (FLAT,), (FLAT,)),
        Kernel("sgd_update", "update", (UPDATED, FLAT, UPDATED), (), optional=(2,)),
        Kernel("adam_update", "update", (UPDATED, FLAT, UPDATED, UPDATED), ()),
        Kernel("rmsprop_update", "update", (UPDATED, FLAT, UPDATED, UPDATED, UPDATED), (), optional=(3, 4)),
    )
}
globals().update(KERNELS)

__all__ = ["KERNELS", "current_room", "get_num_threads", "set_num_threads", "shapes_only", "use_room", *KERNELS]
