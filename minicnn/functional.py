"""The operations by their PyTorch names: ``from minicnn import functional as F``."""

from __future__ import annotations

from .ops.activation import leaky_relu, log_softmax, relu, relu6, sigmoid, softmax, tanh
from .ops.arithmetic import maximum, minimum
from .ops.batch_norm import batch_norm
from .ops.conv import conv2d
from .ops.dropout import dropout
from .ops.loss import cross_entropy, mse_loss
from .ops.lrn import local_response_norm
from .ops.matmul import linear, matmul
from .ops.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from .ops.shape import cat, channel_shuffle, flatten, pad, split, stack

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "cat",
    "channel_shuffle",
    "conv2d",
    "cross_entropy",
    "dropout",
    "flatten",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "maximum",
    "minimum",
    "mse_loss",
    "pad",
    "relu",
    "relu6",
    "sigmoid",
    "softmax",
    "split",
    "stack",
    "tanh",
]
