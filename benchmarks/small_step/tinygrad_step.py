"""The small step in tinygrad, compiled by its JIT through llvmlite (its later versions need the program clang)."""

from __future__ import annotations

import os

os.environ["LLVM"] = "1"  # the device; read on import

from shared import LR, Data, serve  # noqa: E402
from tinygrad import Tensor, TinyJit, nn  # noqa: E402


def build(data: Data):
    x, y = Tensor(data.x).realize(), Tensor(data.y).realize()
    weights = [Tensor(a, requires_grad=True).realize() for a in (data.filters, data.linear, *data.biases)]
    filters, linear, b1, b2 = weights
    optimizer = nn.optim.SGD(weights, lr=LR)

    @TinyJit
    def compiled() -> Tensor:
        with Tensor.train():
            optimizer.zero_grad()
            maps = x.conv2d(filters, b1, padding=1).relu().max_pool2d(2)
            logits = maps.flatten(1).linear(linear, b2)
            loss = logits.sparse_categorical_crossentropy(y).backward()
            return loss.realize(*optimizer.schedule_step())

    return lambda: compiled().item()


if __name__ == "__main__":
    serve(build)
