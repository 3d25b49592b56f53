"""Which parameters decay: recipes for parameter groups."""

from __future__ import annotations

from ..errors import ArgumentError
from ..nn import Conv2d, Module
from ..ops import checks


def weight_decay_groups(model: Module, weight_decay: float, depthwise: bool = True) -> list[dict]:
    """Two parameter groups for an optimiser: weights that decay, and biases and norms' parameters that do not.

    Weight decay holds a layer's filters small. A bias or the scale of a norm has nothing to be held down: T. He et al.
    (2019, section 3.1, "no bias decay") decay only the weights of convolutions and linear layers, Goyal et al. (2017,
    section 5.1) leave out the norms' parameters.

    Parameters
    ----------
    model : Module
    weight_decay : float
        Of the parameters with two axes or more; those with fewer get 0.
    depthwise : bool
        False leaves out depthwise filters, too: there are so few that they need no decay (MobileNet: Howard et al.
        2017, section 3.2).

    Returns
    -------
    list of dict
        Each parameter of the model once, in the model's order, frozen ones too (they get no gradient, so no decay).

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
    >>> groups = optim.weight_decay_groups(model, 1e-4)
    >>> [(group["weight_decay"], [p.shape for p in group["params"]]) for group in groups]
    [(0.0001, [(8, 3, 3, 3)]), (0.0, [(8,), (8,)])]
    >>> optimizer = optim.SGD(groups, lr=0.1, momentum=0.9)
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"weight_decay_groups takes a model, not its parameters; got {type(model).__name__}")
    weight_decay = checks.number("weight_decay_groups", "weight_decay", weight_decay)
    spared = set() if depthwise else {id(m.weight) for m in model.modules() if _is_depthwise(m)}
    decayed, others = [], []
    for parameter in model.parameters():
        (decayed if parameter.ndim >= 2 and id(parameter) not in spared else others).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _is_depthwise(module: Module) -> bool:
    """One input channel per filter (a grey image's convolution, which has one group, is none)."""
    return isinstance(module, Conv2d) and module.groups == module.in_channels > 1
