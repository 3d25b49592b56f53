"""Starting weights that more than one family uses."""

from __future__ import annotations

from .. import nn


def he_fan_out(model: nn.Module) -> None:
    """Convolutions from N(0, 2 / fan_out) (He et al. 2015, equation 14), linear layers from N(0, 0.01^2).

    Biases are 0; batch-norms stay as they are (scale 1, shift 0). fan_out is PyTorch's, O * KH * KW: for a depthwise
    convolution that is C times what one input really feeds. The batch-norm behind it undoes the factor.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
