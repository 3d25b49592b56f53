"""Modules found again in a row of operations, and equal neighbours drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from . import diagram_labels as labels
from .diagram_graph import Group, Op, Parallel, Tangle
from .nn import Module, ModuleList, Sequential

CONTAINERS = (Sequential, ModuleList)
LARGEST_BLOCK = 16  # boxes; what has more is a part of the network, and gets no frame


def fold(items: list, model: Module) -> list:
    """Group what belongs to one module, write small operations into the boxes before them, fold equal neighbours.

    Parameters
    ----------
    items : list
        Of :func:`~minicnn.diagram_graph.decompose`.
    model : Module

    Returns
    -------
    list of Op, Parallel, Tangle and Group
        A Group stands for a module that is worth a frame: a residual block, an inception module. Sequentials leave
        their contents behind, unless several equal ones follow each other.
    """
    return _opened(_Folder(dict(model.named_modules())).row(items, ""))


def ops(item) -> Iterator[Op]:
    """All operations of an item."""
    if isinstance(item, Op):
        yield item
    elif isinstance(item, Tangle):
        yield from item.ops
    else:
        for row in item.branches if isinstance(item, Parallel) else [item.items]:
            for inner in row:
                yield from ops(inner)
        if isinstance(item, Parallel) and item.join is not None:
            yield item.join


def equal_once(branches: list[list]) -> list[tuple[list, int]]:
    """Branches, and how many equal ones stand side by side: in ResNeXt's form (a) 32."""
    runs = [list(run) for _, run in groupby(branches, signatures)]
    return [(run[0], len(run)) for run in runs]


def boxes(items: list) -> int:
    """How many operations are drawn."""
    count = 0
    for item in items:
        if isinstance(item, Parallel):
            count += sum(boxes(branch) for branch, _ in equal_once(item.branches)) + (item.join is not None)
        else:
            count += boxes(item.items) if isinstance(item, Group) else sum(1 for _ in ops(item))
    return count


def home(item) -> str:
    """The path of the innermost module that holds all of an item."""
    if isinstance(item, Group):
        return item.path
    shared = None
    for op in ops(item):
        parts = op.first.path.split(".") if op.first.path else []
        shared = parts if shared is None else [a for i, a in enumerate(parts) if shared[: i + 1] == parts[: i + 1]]
    return ".".join(shared or [])


def signature(item, channels: bool = True):
    """Equal for what may be drawn once: the same operations with the same windows, connected alike.

    Map sizes, input channels and what a concatenation adds up to do not count; with ``channels=False`` none do.
    """
    if isinstance(item, Op):
        step = item.main
        own = None if step is None else (step.op, step.function, labels.kind(step), _window(step, channels))
        return own, tuple(item.notes)
    if isinstance(item, Tangle):
        return "tangle", tuple(signature(op, channels) for op in item.ops), tuple(item.edges)
    if isinstance(item, Parallel):
        join = item.join and signature(item.join, channels)
        return "parallel", tuple(signatures(branch, channels) for branch in item.branches), join
    return item.kind, item.times, signatures(item.items, channels)


def signatures(items: list, channels: bool = True) -> tuple:
    return tuple(signature(item, channels) for item in items)


def _window(step, channels: bool):
    if not channels:
        return step.window and step.window.kernel_size
    counts = step.op not in ("cat", None) and labels.sign(step) is None
    window = step.window and (step.window.kernel_size, step.window.stride, step.window.dilation)
    groups = step.options.get("groups")
    return window, groups, step.output_shape[1:2] if counts and labels.kind(step) != "pool" else None


def fold_equal(items: list) -> list:
    """Equal Groups in a row become one with ``times``."""
    found: list = []
    for item in items:
        before = found[-1] if found else None
        if isinstance(item, Group) and isinstance(before, Group) and _same(before, item):
            before.times += 1
            before.last = item
        else:
            found.append(item)
    return found


def _same(one: Group, other: Group) -> bool:
    return (one.kind, signatures(one.items)) == (other.kind, signatures(other.items))


class _Folder:
    def __init__(self, modules: dict[str, Module]) -> None:
        self.modules = modules

    def row(self, items: list, path: str) -> list:
        """Items of the module at ``path``: what belongs to one of its children becomes a Group."""
        found: list = []
        for child, run in groupby(items, lambda item: self._child(home(item), path)):
            if child is None:
                found += [self._inside(item, path) for item in run]
            else:
                found += self._module(list(run), child)
        return fold_equal(merge_small(found))

    def _child(self, where: str, path: str) -> str | None:
        """The child of ``path`` that holds ``where``; None if that is ``path`` itself, or no module of the model."""
        start = path + "." if path else ""
        if where == path or not where.startswith(start):
            return None
        child = start + where[len(start) :].split(".")[0]
        return child if child in self.modules else None

    def _module(self, items: list, path: str) -> list:
        module = self.modules[path]
        inside = self.row(items, path)
        name = type(module).__name__
        if not any(True for _ in module.children()):
            for op in inside:  # a layer of one's own made of small operations, such as LeNet's Squash: its name says it
                if isinstance(op, Op) and op.main is None and len(op.notes) > 1:
                    op.notes = [name]
            return inside
        single = len(inside) == 1 and isinstance(inside[0], Op)
        large = boxes(inside) > LARGEST_BLOCK
        return [Group(path, name, inside, type(module) in CONTAINERS or single or large)]

    def _inside(self, item, path: str):
        if isinstance(item, Parallel):
            return Parallel([_opened(self.row(branch, path)) for branch in item.branches], item.join, item.outputs)
        return _merged(item) if isinstance(item, Tangle) else item


def _opened(items: list) -> list:
    """Containers replaced by their contents; several equal ones in a row stay."""
    found: list = []
    for item in items:
        if isinstance(item, Group):
            item.items = _opened(item.items)
            if item.last is not None:
                item.last.items = _opened(item.last.items)
        found += item.items if isinstance(item, Group) and item.container and item.times == 1 else [item]
    return merge_small(found)


def merge_small(items: list) -> list:
    """Norms, activations and the like join the operation before them; those that say nothing go."""
    found: list = []
    for item in items:
        before = found[-1] if found else None
        target = before.join if isinstance(before, Parallel) else before
        if isinstance(item, Op) and item.main is None and isinstance(target, Op):
            target.absorb(item)
        else:
            found.append(item)
    return [item for item in found if not (isinstance(item, Op) and item.main is None and not item.notes)]


def _merged(tangle: Tangle) -> Tangle:
    """The same for a tangle: what has one source, which is nobody else's, joins it."""
    users = [s for s, _ in tangle.edges]
    found: list[Op] = []
    place = {-1: -1}  # old position -> new
    for i, op in enumerate(tangle.ops):
        sources = [s for s, n in tangle.edges if n == i]
        if op.main is None and len(sources) == 1 and sources[0] >= 0 and users.count(sources[0]) == 1:
            place[i] = place[sources[0]]
            found[place[i]].absorb(op)
        else:
            place[i] = len(found)
            found.append(op)
    place[len(tangle.ops)] = len(found)
    edges = sorted({(place[s], place[n]) for s, n in tangle.edges if place[s] != place[n]})
    return Tangle(found, edges, tangle.outputs)
