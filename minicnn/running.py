"""What is running now, told to whoever looks on: ``detect_anomaly`` and ``profile``.

Nobody looks on in ordinary training, and then all of this is one empty tuple. Everything here is per thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _State(threading.local):
    watchers: tuple[Watcher, ...] = ()  # of a class: ten times as quick as getattr's default, and every operation asks
    modules: tuple = ()


_state = _State()
_NOTHING = contextlib.nullcontext()


class Watcher:
    """Base of those who look on: each method is called as its event happens; override those you need.

    What begins also ends, errors or not, except an operation: if its forward or backward fails, its end is not told.
    """

    def module_begins(self, module) -> None:
        """``module`` was called; until its end it is the innermost one."""

    def module_ends(self, module) -> None:
        pass

    def forward_begins(self, ctx, options: dict) -> None:
        """An operation starts, with these options; ``ctx.modules`` are the modules around it, outermost first."""

    def forward_ends(self, ctx, inputs: list, out) -> None:
        """It made the array ``out`` of the arrays ``inputs``."""

    def walk_begins(self, root) -> None:
        """A backward starts at the tensor ``root``."""

    def walk_ends(self) -> None:
        pass

    def backward_begins(self, node) -> None:
        """The walk comes to the operation ``node``, the ``ctx`` of its forward."""

    def backward_ends(self, node, grad, parts: list) -> None:
        """It made ``parts``, the gradients of its inputs, of ``grad``."""

    def update_begins(self, optimizer) -> None:
        """``optimizer`` (None: whoever else, such as clipping) changes parameters."""

    def update_ends(self) -> None:
        pass


def watchers() -> tuple[Watcher, ...]:
    """Who looks on in this thread, in order of arrival; mostly nobody."""
    return _state.watchers


def add(watcher: Watcher) -> None:
    _state.watchers = (*watchers(), watcher)


def remove(watcher: Watcher) -> None:
    """Others stay, whoever came first; a watcher that is not there is no error."""
    _state.watchers = tuple(w for w in watchers() if w is not watcher)


@contextlib.contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """``watcher`` looks on in this block."""
    add(watcher)
    try:
        yield
    finally:
        remove(watcher)


def modules() -> tuple:
    """The modules that are running, outermost first; those that began while nobody looked on are not among them."""
    return _state.modules


def inside(module):
    """The block in which ``module`` runs."""
    return _inside(module, watchers()) if watchers() else _NOTHING


@contextlib.contextmanager
def _inside(module, told: tuple[Watcher, ...]) -> Iterator[None]:
    _state.modules = (*modules(), module)
    for watcher in told:
        watcher.module_begins(module)
    try:
        yield
    finally:
        for watcher in told:
            watcher.module_ends(module)
        _state.modules = _state.modules[:-1]


def walking(root):
    """The block in which a backward walks the graph behind ``root``."""
    return _walking(root, watchers()) if watchers() else _NOTHING


@contextlib.contextmanager
def _walking(root, told: tuple[Watcher, ...]) -> Iterator[None]:
    for watcher in told:
        watcher.walk_begins(root)
    try:
        yield
    finally:
        for watcher in told:
            watcher.walk_ends()


def updating(optimizer=None):
    """The block in which parameters are updated."""
    return _updating(optimizer, watchers()) if watchers() else _NOTHING


@contextlib.contextmanager
def _updating(optimizer, told: tuple[Watcher, ...]) -> Iterator[None]:
    for watcher in told:
        watcher.update_begins(optimizer)
    try:
        yield
    finally:
        for watcher in told:
            watcher.update_ends()
