"""minicnn's side of the benchmark: ``python ours.py THREADS``."""

from __future__ import annotations

import sys

import drawn
import worker

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn, optim
from minicnn.kernels import shapes_only

LR = 1e-4


def build(work: dict) -> nn.Module:
    """The model of a ``Work``, with weights that are only shapes."""
    with shapes_only():
        if "(" in work["model"]:
            return eval(f"Sequential({work['model']})", vars(nn).copy())  # noqa: S307 - our own table
        return models.get_model(work["model"], **work["options"])


class Task:
    compilations: Compilations | None = None

    def __init__(self, request: dict) -> None:
        work = request["work"]
        self.kind, self.model = work["kind"], build(work).train(work["kind"] != "infer")
        for name, own in (*self.model.named_parameters(), *self.model.named_buffers()):
            if own.dtype.kind == "f":
                own.data = drawn.weight(name, own.shape)
        self.x = mc.Tensor(drawn.images(tuple(work["shape"])), requires_grad=self.kind == "both")
        self.labels = None
        self.optimizer = optim.SGD(self.model.parameters(), LR, momentum=work["momentum"]) if self.trains else None

    @property
    def trains(self) -> bool:
        return self.kind == "train"

    def first(self) -> dict:
        dropouts = [m for m in self.model.modules() if isinstance(m, nn.Dropout)]
        rates = [m.p for m in dropouts]
        for m in dropouts:
            m.p = 0.0
        value = self.step()
        for m, p in zip(dropouts, rates):
            m.p = p
        leaves = [*self.model.parameters(), self.x]
        gradients = [t.grad for t in leaves if t.grad is not None]
        number = value.item() if self.trains else drawn.fingerprint(value.data)
        return {
            "value": number,
            "gradients": drawn.norm(gradients),
            "compiled": self.compilations.count if self.compilations else 0,
        }

    def step(self) -> mc.Tensor:
        if not self.trains and self.kind != "both":
            with mc.no_grad():
                return self.model(self.x)
        self.model.zero_grad()
        self.x.grad = None
        if self.kind == "both":
            y = self.model(self.x)
            y.backward(y.data)
            return y
        loss = self._loss(self.model(self.x))
        loss.backward()
        self.optimizer.step()
        return loss

    def _loss(self, out) -> mc.Tensor:
        """GoogLeNet's includes both auxiliary heads."""
        logits = out[0] if isinstance(out, tuple) else out
        if self.labels is None:
            self.labels = drawn.labels(*logits.shape)
        return out.loss(F.cross_entropy, self.labels) if isinstance(out, tuple) else F.cross_entropy(out, self.labels)


class Compilations:
    """How many kernels were compiled in this process: a compiler leaves memory behind, which is not the step's."""

    def __init__(self) -> None:
        from numba.core import event

        class Listener(event.Listener):
            def on_start(_, happened) -> None:  # noqa: N805
                self.count += 1

            def on_end(_, happened) -> None:  # noqa: N805
                pass

        self.count = 0
        event.register("numba:compile", Listener())


if __name__ == "__main__":
    Task.compilations = Compilations()
    mc.set_num_threads(int(sys.argv[1]))
    worker.serve(Task)
