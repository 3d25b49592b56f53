"""Architectures, one file per family; each reads like its paper's table."""

from __future__ import annotations

from . import alexnet, cifar_resnet, googlenet, lenet, vgg, zfnet  # noqa: F401 - importing them registers their models
from .registry import get_model, list_models, register_model

__all__ = ["get_model", "list_models", "register_model"]
