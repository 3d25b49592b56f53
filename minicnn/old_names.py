"""Names that parameters had in older files of weights, and the names of today."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

#: MobileNetV2 until torchvision 0.3: a block was one flat row of layers; now convolution, batch-norm and ReLU6 are one
MOBILENET_V2 = {  # layer in a block of four convolutions and batch-norms (2 and 5 are ReLU6): its name today
    "0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3",
}  # fmt: skip
MOBILENET_V2_FIRST = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}  # its first block does not widen: two convolutions

#: DenseNet until torchvision 0.2: "denselayer1.norm.1.weight", now "denselayer1.norm1.weight"
DENSE_LAYER = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")


def modernise(state: Mapping[str, np.ndarray], model_name: str = "") -> dict[str, np.ndarray]:
    """The same arrays under the names of today.

    - ``module.``, which PyTorch's ``DataParallel`` puts before every name, is taken away.
    - MobileNetV2's and DenseNet's old names become the new ones.

    That older batch-norms lack ``num_batches_tracked``, ``Module.load_state_dict`` knows.

    Parameters
    ----------
    state : dict of str to array
    model_name : str
        As for ``get_model``; some renamings are one model's only.

    Examples
    --------
    >>> list(modernise({"module.fc.weight": 0, "module.fc.bias": 1}))
    ['fc.weight', 'fc.bias']
    >>> list(modernise({"features.3.conv.6.weight": 0, "features.3.conv.7.bias": 1}, "mobilenet_v2"))
    ['features.3.conv.2.weight', 'features.3.conv.3.bias']
    """
    state = dict(state)
    if state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): array for name, array in state.items()}
    if model_name == "mobilenet_v2":
        state = _mobilenet_v2(state)
    return {DENSE_LAYER.sub(r"\1\2", name): array for name, array in state.items()}


def _mobilenet_v2(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    block = re.compile(r"features\.(\d+)\.conv\.(\d)\.([a-z_]+)")
    found = {name: block.fullmatch(name) for name in state}
    if not any(m and m[2] in "67" for m in found.values()):  # today's blocks have no more than 4 layers
        return state

    def renamed(name: str) -> str:
        m = found[name]
        if m is None:
            return name
        new = (MOBILENET_V2_FIRST if m[1] == "1" else MOBILENET_V2).get(m[2], m[2])
        return f"features.{m[1]}.conv.{new}.{m[3]}"

    return {renamed(name): array for name, array in state.items()}
