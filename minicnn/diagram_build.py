"""From folded operations to shapes: what is a box, a shortcut, branches side by side, or one box for a whole module."""

from __future__ import annotations

from . import diagram_labels as labels
from .diagram_fold import ops, signatures
from .diagram_graph import Group, Op, Parallel, Tangle
from .diagram_shapes import Box, Column, Fork, Frame, Lines, Shape, Sign, Skip, Web

WIDE, NARROW = 0.25, 0.1  # inches that a box grows by for each doubling of its channels; in branches less
MANY = 3  # branches: a module with so many is drawn in detail once


class Builder:
    """Makes shapes; remembers which map sizes and which kinds of modules were drawn, and what the legend must explain.

    Attributes
    ----------
    kinds : set of str
        Keys of ``labels.KINDS`` that occur.
    marks : set of str
        ``"identity"``, ``"changed"`` (shortcuts), ``"times"``, ``"folded"``.
    """

    def __init__(self, size: str) -> None:
        self.size = size  # of the maps drawn last
        self.kinds: set[str] = set()
        self.marks: set[str] = set()
        self.detailed: set = set()

    def row(self, items: list, step: float = WIDE, named: bool = False) -> list[Shape]:
        return [self.shape(item, step, named) for item in items]

    def shape(self, item, step: float = WIDE, named: bool = False) -> Shape:
        if isinstance(item, Op):
            return self._box(item, step, named)
        if isinstance(item, Group):
            return self._group(item, step)
        if isinstance(item, Tangle):
            return self._web(item, step)
        return self._parallel(item, step)

    def _box(self, op: Op, step: float, named: bool = False) -> Shape:
        kind = labels.kind(op.main, op.notes)
        self.kinds.add(kind)
        colour, notes = labels.KINDS[kind][1], ", ".join(op.notes)
        if labels.sign(op.main):
            return Sign(labels.sign(op.main), notes, colour, self._new_size(op))
        title = labels.title(op.main) if op.main else ""
        channels = op.main.output_shape[1] if op.main and len(op.main.output_shape) > 1 else 0
        box = Box(title, notes, colour, channels, step, self._new_size(op), op.first.path if named else "")
        if named and kind == "pool":
            box.below *= 2  # a stage ends here
        return box

    def _new_size(self, op: Op) -> str:
        size = labels.map_size(op.main or op.last)
        if size in ("", self.size):
            return ""
        self.size = size
        return size

    def _group(self, group: Group, step: float) -> Shape:
        title = group.path
        if group.times > 1:
            self.marks.add("times")
            title += f" to {group.last.path.split('.')[-1]}"
        if any(isinstance(i, Parallel) and len(i.branches) >= MANY for i in group.items):
            form = group.kind, signatures(group.items, channels=False)
            if form in self.detailed:
                return self._folded(group, title)
            self.detailed.add(form)
        return Frame(Column(self.row(group.items, step)), title, group.times)

    def _folded(self, group: Group, title: str) -> Shape:
        """One box for a module like one that was drawn before: its channels, branch by branch."""
        self.marks.add("folded")
        *_, end = (op for op in ops(group) if op.main)
        lines = [f"{title}: {labels.title(end.main)}" + (f", {group.times} times" if group.times > 1 else "")]
        for item in group.items:
            if isinstance(item, Parallel):
                lines.append("  |  ".join(_in_short(branch) for branch in item.branches))
            elif isinstance(item, Op) and item.main is not end.main:
                lines.append(_in_short([item]))
        return Lines(lines, "#eef3f8", self._new_size(end), headed=True)

    def _parallel(self, item: Parallel, step: float) -> Shape:
        around = _shortcut(item)
        if around is None:
            branches = self._equal_once(item.branches)
            join = None if item.join is None else self._box(item.join, step)
            return Fork(branches, join)
        main = next(b for b in item.branches if b is not around)
        self.marks.add("changed" if around else "identity")
        column = Column(self.row(main, step))
        return Skip(column, self._beside(around[0]) if around else None, self._box(item.join, step))

    def _beside(self, op: Op) -> Lines:
        """What happens on a shortcut, in a small box."""
        kind = labels.kind(op.main, op.notes)
        self.kinds.add(kind)
        head, _, tail = labels.title(op.main).partition(", ") if op.main else ("", "", "")
        return Lines([line for line in (head, tail, *op.notes) if line], labels.KINDS[kind][1])

    def _equal_once(self, branches: list[list]) -> list[Column]:
        """Columns of the branches, equal neighbours once (ResNeXt's form (a) has 32)."""
        before, size = None, self.size
        runs: list[tuple[list, int]] = []
        for branch in branches:
            same = branch and before == signatures(branch)
            if same:
                runs[-1] = runs[-1][0], runs[-1][1] + 1
            else:
                runs.append((branch, 1))
            before = signatures(branch)
        columns = []
        for branch, times in runs:
            column = Column(self.row(branch, NARROW))
            if times > 1:
                self.marks.add("times")
                column = Column([Frame(column, "", times)])
            columns.append(column)
        self.size = size  # in branches none are written
        return columns

    def _web(self, item: Tangle, step: float) -> Shape:
        size = self.size
        shapes = [self._box(op, step) for op in item.ops]
        self.size = size
        return Web(shapes, item.edges)


def _shortcut(item: Parallel) -> list | None:
    """The branch that is a way around the other one: an identity, or beside a longer one a single operation, added."""
    if len(item.branches) != 2 or item.join is None:
        return None
    short, long = sorted(item.branches, key=len)
    single = len(short) == 1 and isinstance(short[0], Op) and len(long) > 1 and labels.sign(item.join.main)
    return short if not short or single else None


def _in_short(branch: list) -> str:
    """A branch in one line, such as ``1x1 96, 3x3 128``."""
    return ", ".join(labels.short(op.main) for item in branch for op in ops(item) if op.main) or "identity"
