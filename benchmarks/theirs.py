"""PyTorch's side of the benchmark: ``python theirs.py THREADS contiguous|channels_last``. Knows nothing of minicnn."""

from __future__ import annotations

import pathlib
import pickle
import sys

import drawn
import torch
import torch.nn.functional as TF
import worker
from replay import Replay, in_layout

LR = 1e-4
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
HEADS = 0.3  # weight of GoogLeNet's auxiliary losses


class Task:
    """Replays the program that the parent recorded of our model."""

    layout = torch.contiguous_format

    def __init__(self, request: dict) -> None:
        work, program = request["work"], pickle.loads(pathlib.Path(request["program"]).read_bytes())
        self.kind, self.model = work["kind"], Replay(program, self.layout)
        self.x = in_layout(drawn.images(tuple(work["shape"])), self.layout).requires_grad_(self.kind == "both")
        self.labels = None
        if self.kind == "train":
            self.optimizer = torch.optim.SGD(self.model.parameters(), LR, momentum=work["momentum"])

    def first(self) -> dict:
        self.model.dropout = False
        value = self.step().detach()
        self.model.dropout = True
        leaves = [*self.model.parameters(), self.x]
        gradients = [_array(t.grad) for t in leaves if t.grad is not None]
        number = value.item() if self.kind == "train" else drawn.fingerprint(value.numpy())
        return {"value": number, "gradients": drawn.norm(gradients)}

    def step(self) -> torch.Tensor:
        if self.kind in ("forward", "infer"):
            with torch.no_grad():
                return self.model(self.x)[0]
        self.model.zero_grad()
        self.x.grad = None
        if self.kind == "both":
            (y,) = self.model(self.x)
            y.backward(y.detach())
            return y
        loss = self._loss(self.model(self.x))
        loss.backward()
        self.optimizer.step()
        return loss

    def _loss(self, outputs: list[torch.Tensor]) -> torch.Tensor:
        if self.labels is None:
            self.labels = torch.from_numpy(drawn.labels(*outputs[0].shape))
        main, *heads = [TF.cross_entropy(out, self.labels) for out in outputs]
        return main + HEADS * sum(heads) if heads else main


def _array(tensor: torch.Tensor):
    """Without a copy, its numbers in the order of memory."""
    return (tensor.permute(0, 2, 3, 1) if _channels_last(tensor) else tensor).contiguous().numpy()


def _channels_last(tensor: torch.Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    Task.layout = LAYOUTS[sys.argv[2]]
    worker.serve(Task)
