"""The small step in MyGrad."""

from __future__ import annotations

import mygrad as mg
from mygrad.nnet.activations import relu
from mygrad.nnet.layers import conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy
from shared import LR, Data, serve


def build(data: Data):
    weights = [mg.tensor(a) for a in (data.filters, data.linear, data.biases[0].reshape(1, -1, 1, 1), data.biases[1])]
    filters, linear, b1, b2 = weights

    def step() -> float:
        maps = max_pool(relu(conv_nd(data.x, filters, stride=1, padding=1) + b1), (2, 2), 2)
        loss = softmax_crossentropy(mg.matmul(maps.reshape(len(data.y), -1), linear) + b2, data.y)
        loss.backward()
        for parameter in weights:
            parameter.data -= LR * parameter.grad
        return float(loss)

    return step


if __name__ == "__main__":
    serve(build)
