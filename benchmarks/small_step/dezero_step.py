"""The small step in DeZero."""

from __future__ import annotations

import dezero.functions as DF
from dezero import Parameter
from shared import LR, Data, serve


def build(data: Data):
    weights = [Parameter(a) for a in (data.filters, data.linear, *data.biases)]
    filters, linear, b1, b2 = weights

    def step() -> float:
        for parameter in weights:
            parameter.cleargrad()
        maps = DF.pooling(DF.relu(DF.conv2d(data.x, filters, b1, pad=1)), 2, 2)
        loss = DF.softmax_cross_entropy(DF.linear(DF.flatten(maps), linear, b2), data.y)
        loss.backward()
        for parameter in weights:
            parameter.data -= LR * parameter.grad.data
        return float(loss.data)

    return step


if __name__ == "__main__":
    serve(build)
