"""What a Module holds and hands out: parameters, hook handles, the result of loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ..device import is_array
from ..kernels import shapes
from ..kernels.layout import channels_last
from ..tensor import Tensor, as_array, tensor


class LoadedKeys(NamedTuple):
    """What ``load_state_dict`` found: keys of the model that the file lacks, and keys that the model lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def with_batch_counts(state: Mapping, own: Iterable[str]) -> Mapping:
    """With ``num_batches_tracked`` = 0 where only that is missing of a batch-norm: PyTorch before 0.4.1 had none."""
    added = {}
    for name in own:
        layer = name.removesuffix("num_batches_tracked")
        if name != layer and name not in state and layer + "running_var" in state:
            added[name] = np.array(0)
    return {**state, **added} if added else state


class Parameter(Tensor):
    """A tensor that is learned: requires a gradient, and 4-d ones lie channels-last in memory."""

    __slots__ = ()

    def __init__(self, data, requires_grad: bool = True) -> None:
        array = as_array(data) if isinstance(data, Tensor) or is_array(data) else tensor(data).data
        super().__init__(array if shapes.wanted() else channels_last(array), requires_grad)


class HookHandle:
    """What ``register_forward_hook`` returns; ``remove()`` takes the hook away."""

    def __init__(self, hooks: dict) -> None:
        self._hooks = hooks

    def remove(self) -> None:
        self._hooks.pop(id(self), None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()
