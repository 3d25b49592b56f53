"""Architectures, one file per family; each reads like its paper's table."""

from __future__ import annotations

from . import (  # noqa: F401 - importing them registers their models
    alexnet,
    cifar_resnet,
    efficientnet_lite,
    googlenet,
    lenet,
    mobilenet_v1,
    mobilenet_v2,
    preact_resnet,
    pretrained,
    resnet,
    resnext,
    shufflenet_v1,
    shufflenet_v2,
    vgg,
    zfnet,
)
from .recipes import recipe
from .registry import get_model, input_size, list_models, register_model

__all__ = ["get_model", "input_size", "list_models", "recipe", "register_model"]
