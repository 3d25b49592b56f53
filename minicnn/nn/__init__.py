"""Layers and containers by their PyTorch names."""

from __future__ import annotations

from . import init
from .containers import ModuleList, Sequential
from .functions import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    CrossEntropyLoss,
    Flatten,
    Identity,
    LeakyReLU,
    MaxPool2d,
    MSELoss,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Tanh,
)
from .layers import BatchNorm2d, Conv2d, Dropout, Linear, LocalResponseNorm
from .module import Module
from .parts import Parameter

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "BatchNorm2d", "Conv2d", "CrossEntropyLoss", "Dropout", "Flatten", "Identity",
    "LeakyReLU", "Linear", "LocalResponseNorm", "MSELoss", "MaxPool2d", "Module", "ModuleList", "Parameter", "ReLU",
    "ReLU6", "Sequential", "Sigmoid", "Softmax", "Tanh", "init",
]  # fmt: skip
