"""One step of training under the clock: every moment of it is booked to exactly one account."""

from __future__ import annotations

import weakref
from collections import Counter
from time import perf_counter

import numpy as np

from . import running
from .nn import Module
from .profiling_memory import buffer, kept_bytes, total_bytes

FORWARD, BACKWARD, OTHER = "forward", "backward", "other"
OUTSIDE, OPTIMISER, WAITING, REST = "outside the model (loss)", "optimiser", "waiting for data", "rest (Python, engine)"
SPECIAL = (OUTSIDE, OPTIMISER, WAITING, REST)

Account = tuple[str, str]  # a layer's path or one of SPECIAL, and FORWARD, BACKWARD or OTHER


class Clock:
    """A stack of accounts; the time that passes is booked to one of them, mostly to the topmost."""

    def __init__(self) -> None:
        self.seconds: Counter[Account] = Counter()
        self.stack: list[Account] = [(REST, OTHER)]
        self._account = self.stack[0]
        self._start = self._since = perf_counter()

    def switch(self, account: Account) -> None:
        """From now on book to ``account``, until the next call of anything here."""
        now = perf_counter()
        self.seconds[self._account] += now - self._since
        self._account, self._since = account, now

    def push(self, account: Account) -> None:
        self.stack.append(account)
        self.switch(account)

    def pop(self) -> None:
        if len(self.stack) > 1:  # a step may begin inside a module, whose end is not its own
            self.stack.pop()
        self.back()

    def back(self) -> None:
        """After a ``switch``: to the topmost account again."""
        self.switch(self.stack[-1])

    def forget(self) -> None:
        """What passed since the last call was the profiler's own work: book it to nobody."""
        now = perf_counter()
        self._start += now - self._since
        self._since = now

    def stop(self) -> float:
        """Seconds since the start, without what was forgotten."""
        self.switch(self._account)
        return self._since - self._start


class Step(running.Watcher):
    """Looks on during one step.

    Attributes
    ----------
    seconds : Counter of (name, column)
        Their sum is ``total``.
    total : float
        Wall time in seconds.
    kept : dict of str to int
        Bytes that the graph held for the backward, by layer (the largest graph, if there were several).
    operations : dict of str to list of str
        Names of the operations that each layer ran itself, not through a module inside it.
    gradients : int
        Bytes of the parameters' gradients.
    optimizers : dict of int to Optimizer
        Those that made a step, by ``id``.
    """

    def __init__(self, model: Module, clock: Clock | None = None) -> None:
        self.model, self.total, self.gradients = model, 0.0, 0
        self.kept: dict[str, int] = {}
        self.operations: dict[str, list[str]] = {}
        self.optimizers: dict = {}
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._made: dict[int, tuple[weakref.ref, str]] = {}  # by id of the buffer, which must not be kept alive
        self.clock = Clock() if clock is None else clock
        self.seconds = self.clock.seconds

    def finish(self) -> None:
        """The step is over."""
        self.total = self.clock.stop()

    # The model --------------------------------------------------------------------------------------------------------
    def module_begins(self, module) -> None:
        name, column = self.clock.stack[-1]
        if id(module) in self._paths:
            self.clock.push((self._paths[id(module)], FORWARD))
        else:  # a loss, or a module that the model does not know of: whoever called it
            self.clock.push((OUTSIDE, FORWARD) if name == REST else (name, column))

    def module_ends(self, module) -> None:
        self.clock.pop()

    def forward_begins(self, ctx, options) -> None:
        name = self.clock.stack[-1][0]
        operations = self.operations.setdefault(name, [])
        if ctx.function.__name__ not in operations:
            operations.append(ctx.function.__name__)
        if name == REST:
            self.clock.switch((OUTSIDE, FORWARD))

    def forward_ends(self, ctx, inputs, out) -> None:
        name, own = self.clock.stack[-1][0], buffer(out)
        recorded = any(ctx.needs_input_grad)  # else the graph will not know who made this
        if not recorded and name not in SPECIAL and all(buffer(a) is not own for a in inputs if a is not None):
            self._made[id(own)] = (weakref.ref(own), name)
        if name == REST:
            self.clock.back()

    # The backward -----------------------------------------------------------------------------------------------------
    def walk_begins(self, root) -> None:
        self.clock.push((REST, BACKWARD))
        own = [t.data for t in (*self.model.parameters(), *self.model.buffers())]
        kept = kept_bytes(root, self._maker, self._maker_of_leaf, own)
        if sum(kept.values()) > sum(self.kept.values()):
            self.kept = kept
        self.clock.forget()

    def walk_ends(self) -> None:
        self.clock.pop()
        self.gradients = total_bytes(p.grad for p in self.model.parameters())
        self.clock.forget()

    def backward_begins(self, node) -> None:
        self.clock.switch((self._maker(node), BACKWARD))

    def backward_ends(self, node, grad, parts) -> None:
        self.clock.back()

    def _maker(self, node) -> str:
        """The innermost module of the model that ran this operation."""
        return next((self._paths[id(m)] for m in reversed(node.modules) if id(m) in self._paths), OUTSIDE)

    def _maker_of_leaf(self, array: np.ndarray) -> str | None:
        made_by, name = self._made.get(id(buffer(array)), (None, None))
        return name if made_by is not None and made_by() is buffer(array) else None

    # The rest ---------------------------------------------------------------------------------------------------------
    def update_begins(self, optimizer) -> None:
        if optimizer is not None:
            self.optimizers[id(optimizer)] = optimizer
        self.clock.push((OPTIMISER, OTHER))

    def update_ends(self) -> None:
        self.clock.pop()
