"""The small step in Chainer."""

from __future__ import annotations

import chainer
import chainer.functions as CF
import numpy as np
from shared import LR, Data, serve


def build(data: Data):
    arrays = (data.filters, np.ascontiguousarray(data.linear.T), *data.biases)
    weights = [chainer.Parameter(a) for a in arrays]
    filters, linear, b1, b2 = weights
    labels = data.y.astype(np.int32)

    def step() -> float:
        for parameter in weights:
            parameter.cleargrad()
        maps = CF.max_pooling_2d(CF.relu(CF.convolution_2d(data.x, filters, b1, pad=1)), 2)
        loss = CF.softmax_cross_entropy(CF.linear(maps, linear, b2), labels)
        loss.backward()
        for parameter in weights:
            parameter.array -= LR * parameter.grad
        return float(loss.array)

    return step


if __name__ == "__main__":
    serve(build)
