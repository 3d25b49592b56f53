"""From the steps of a run to what can be drawn: operations in a row, and places where the way forks and joins.

A node that every way from the image to the result passes through is a *cut*. Between two neighbouring cuts there is
either nothing, or branches side by side, each again a row with cuts of its own: that is how residual blocks, inception
modules and U-Nets come out nested. Where ways cross so that no nesting fits them, all their operations stay one
:class:`Tangle`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import diagram_labels as labels
from .trace import Step

IMAGE = -1


class Op:
    """One operation, and the small ones (norms, activations) behind it that are written into its box.

    Attributes
    ----------
    main : Step or None
        None if it is all small ones.
    notes : list of str
        What the small ones are called, such as ``["BN", "ReLU"]``.
    first, last : Step
    """

    def __init__(self, step: Step) -> None:
        note = labels.note(step)
        self.first = self.last = step
        self.main = step if note is None else None
        self.notes = [note] if note else []

    def absorb(self, other: Op) -> None:
        """Write the small operations ``other`` behind this one."""
        self.notes += other.notes
        self.last = other.last


@dataclass
class Parallel:
    """Branches that start at the same place; an empty one is an identity.

    ``join`` puts them together; None if that is left to the join of an outer Parallel, or if the branches are
    ``outputs`` of the model.
    """

    branches: list[list]
    join: Op | None
    outputs: bool = False


@dataclass
class Tangle:
    """Operations in the order in which they run; ``edges`` (from, to) by position.

    Position -1 is what comes before, ``len(ops)`` the join of an outer Parallel, or the model's ``outputs``.
    """

    ops: list[Op]
    edges: list[tuple[int, int]]
    outputs: bool = False


@dataclass
class Group:
    """What belongs to one module: the items of its inside. ``times`` equal modules in a row are one Group."""

    path: str
    kind: str  # its class
    items: list
    container: bool = False  # a Sequential: holds others together, and is no block of a network itself
    times: int = 1
    last: Group | None = field(default=None, repr=False)  # the last of the equal ones


def decompose(steps: list[Step], outputs: list[int]) -> list:
    """The way from the image to the outputs as a list of Op, Parallel and Tangle.

    Parameters
    ----------
    steps : list of Step
    outputs : list of int
        Which steps made what the model gives. If there are several, the last item is a Parallel without a join.
    """
    end = len(steps)
    sources = {end: sorted({*outputs} - {IMAGE})}
    needed = set(sources[end])
    for number in range(end - 1, -1, -1):  # only what the outputs depend on
        if number in needed:
            sources[number] = sorted(set(steps[number].sources))
            needed.update(sources[number])
    return _Graph(steps, sources).row(sorted(sources)[:-1], IMAGE, end)


class _Graph:
    def __init__(self, steps: list[Step], sources: dict[int, list[int]]) -> None:
        self.steps, self.sources = steps, sources

    def row(self, nodes: list[int], start: int, end: int) -> list:
        """Items for ``nodes``, in running order, between the nodes ``start`` and ``end``, which are not among them."""
        items: list = []
        inside = {start, *nodes}
        last_use = dict.fromkeys(inside, start)
        for node in (*nodes, end):
            for source in self.sources[node]:
                if source in inside and not (node == end and source == start):
                    last_use[source] = node
        reach, before, between = last_use[start], start, []
        for node in (*nodes, end):
            if reach > node:  # some way goes around it
                between.append(node)
            else:
                join = None if node == end else Op(self.steps[node])
                around = before in self.sources[node] and (before, node) != (start, end)
                items += self._segment(between, before, node, join, around)
                before, between = node, []
            reach = max(reach, last_use.get(node, node))
        return items

    def _segment(self, between: list[int], before: int, cut: int, join: Op | None, around: bool) -> list:
        """The nodes ``between`` two neighbouring cuts, and the ``join`` at the second; ``around``: an identity too."""
        if not between:
            return [] if join is None else [join]
        parts = self._parts(between)
        if len(parts) == 1 and not around:
            return [self._tangle(between, before, cut, join)]
        branches = [self.row(part, before, cut) for part in parts] + [[]] * around
        return [Parallel(_sums_opened(branches, join), join, cut == len(self.steps))]

    def _parts(self, nodes: list[int]) -> list[list[int]]:
        """The connected parts of some nodes, by their first nodes; everyone's ``root`` is a member of its part."""
        root = {node: node for node in nodes}

        def find(node: int) -> int:
            while root[node] != node:
                root[node] = root[root[node]]  # shorter for the next one
                node = root[node]
            return node

        for node in nodes:
            for source in self.sources[node]:
                if source in root:
                    root[find(node)] = find(source)
        parts: dict[int, list[int]] = {}
        for node in nodes:
            parts.setdefault(find(node), []).append(node)
        return list(parts.values())

    def _tangle(self, nodes: list[int], start: int, cut: int, join: Op | None) -> Tangle:
        position = {node: i for i, node in enumerate([start, *nodes, cut], start=-1)}
        edges = [(position[s], position[n]) for n in (*nodes, cut) for s in self.sources[n] if s in position]
        edges = [edge for edge in edges if edge != (-1, len(nodes))]  # an identity around all has a branch of its own
        found = [Op(self.steps[n]) for n in nodes] + ([] if join is None else [join])
        return Tangle(found, edges, cut == len(self.steps))


def _sums_opened(branches: list[list], join: Op | None) -> list[list]:
    """(a + b) + c has three branches, not two of which one has two."""
    found = []
    for branch in branches:
        inner = branch[0] if len(branch) == 1 and isinstance(branch[0], Parallel) else None
        both = inner and join and inner.join and inner.join.main.op == join.main.op == "add"
        found += inner.branches if both else [branch]
    return found
