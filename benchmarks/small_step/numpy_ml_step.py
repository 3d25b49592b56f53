"""The small step in numpy-ml, whose images and filters are channels-last ."""

from __future__ import annotations

import collections.abc

import numpy as np

collections.Hashable = collections.abc.Hashable  # numpy-ml was written for Python before 3.10
from numpy_ml.neural_nets.activations import ReLU  # noqa: E402
from numpy_ml.neural_nets.layers import Conv2D, Flatten, FullyConnected, Pool2D  # noqa: E402
from shared import LR, Data, serve  # noqa: E402


def build(data: Data):
    x = data.x.transpose(0, 2, 3, 1)  # (N, H, W, C)
    conv = Conv2D(out_ch=64, kernel_shape=(3, 3), pad=1, stride=1, act_fn=ReLU())
    pool, flatten, linear = Pool2D((2, 2), stride=2, pad=0, mode="max"), Flatten(), FullyConnected(n_out=10)
    layers = (conv, pool, flatten, linear)

    rows = data.linear.reshape(64, 16, 16, 10).transpose(1, 2, 0, 3)  # (H, W, C, 10)
    linear.forward(flatten.forward(pool.forward(conv.forward(x))))  # layers make their weights in their first forward
    for layer in layers:
        layer.flush_gradients()
    conv.parameters["W"] = data.filters.transpose(2, 3, 1, 0).copy()  # (KH, KW, C, O)
    linear.parameters["W"] = rows.reshape(-1, 10).copy()

    def step() -> float:
        maps = x
        for layer in layers:
            maps = layer.forward(maps)
        shifted = np.exp(maps - maps.max(1, keepdims=True))
        probabilities = shifted / shifted.sum(1, keepdims=True)
        here = np.arange(len(data.y)), data.y
        loss = -np.log(probabilities[here]).mean()
        gradient = probabilities.copy()
        gradient[here] -= 1
        gradient /= len(data.y)
        for layer in reversed(layers):
            gradient = layer.backward(gradient)
        for layer in (conv, linear):
            for name in ("W", "b"):
                layer.parameters[name] -= LR * layer.gradients[name]
        for layer in layers:
            layer.flush_gradients()
        return float(loss)

    return step


if __name__ == "__main__":
    serve(build)
