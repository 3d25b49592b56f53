"""From folded operations to shapes: what is a box, a shortcut, branches side by side, or one box for a whole module."""

from __future__ import annotations

from . import diagram_labels as labels
from .diagram_fold import boxes, equal_once, ops, signatures
from .diagram_graph import Group, Op, Parallel, Tangle
from .diagram_shapes import Box, Column, End, Fork, Frame, Lines, Shape, Sign, Skip, Web

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
        shapes = [self.shape(item, step, named) for item in items]
        for item, after, shape in zip(items, items[1:], shapes):
            if named and _ends_stage(item, after):
                shape.below *= 2
        return shapes

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
        return Box(title, notes, colour, channels, step, self._new_size(op), op.first.path if named else "")

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
        if any(isinstance(i, Parallel) and len(equal_once(i.branches)) >= MANY for i in group.items):
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
                lines.append("  |  ".join(_in_short(*run) for run in equal_once(item.branches)))
            elif isinstance(item, Op) and item.main is not end.main:
                lines.append(_in_short([item]))
        return Lines(lines, "#eef3f8", self._new_size(end), headed=True)

    def _parallel(self, item: Parallel, step: float) -> Shape:
        runs = equal_once(item.branches)
        around = _shortcut(runs, item.join)
        if around is None:
            size = self.size
            branches = [self._branch(branch, times, item.outputs) for branch, times in runs]
            self.size = size  # in branches none are written
            return Fork(branches, item.join and self._box(item.join, step), item.outputs)
        main, times = next(run for run in runs if run is not around)
        column = Column(self.row(main, step)) if times == 1 else self._branch(main, times)
        self.marks.add("changed" if around[0] else "identity")
        return Skip(column, self._beside(around[0][0]) if around[0] else None, self._box(item.join, step))

    def _branch(self, branch: list, times: int, output: bool = False) -> Column:
        shapes = self.row(branch, NARROW)
        if output and not (branch and getattr(branch[-1], "outputs", False)):  # else its own ends say it
            shapes.append(End("output"))
        if times == 1:
            return Column(shapes)
        self.marks.add("times")
        only = shapes[0] if len(shapes) == 1 else None
        framed = isinstance(only, Frame) and not only.times
        return Column([Frame(only.inside, only.title, times) if framed else Frame(Column(shapes), "", times)])

    def _beside(self, op: Op) -> Lines:
        """What happens on a shortcut, in a small box."""
        kind = labels.kind(op.main, op.notes)
        self.kinds.add(kind)
        head, _, tail = labels.title(op.main).partition(", ") if op.main else ("", "", "")
        return Lines([line for line in (head, tail, *op.notes) if line], labels.KINDS[kind][1])

    def _web(self, item: Tangle, step: float) -> Shape:
        size = self.size
        shapes = [self._box(op, step) for op in item.ops]
        self.size = size
        web = Web(shapes, item.edges)
        return Column([web, End("outputs")]) if item.outputs else web


def _shortcut(runs: list[tuple[list, int]], join: Op | None) -> tuple[list, int] | None:
    """What is a way around the only other branch: an identity, or one operation beside several, added."""
    if len(runs) != 2 or join is None:
        return None
    (short, times), (long, _) = found = sorted(runs, key=lambda run: boxes(run[0]))
    single = len(short) == 1 and isinstance(short[0], Op) and boxes(long) > 1 and labels.sign(join.main)
    return found[0] if times == 1 and long and (not short or single) else None


def _ends_stage(item, after) -> bool:
    """A pool does, unless a norm follows."""
    if not isinstance(item, Op) or item.main is None or item.main.op not in ("max_pool2d", "avg_pool2d"):
        return False
    return not isinstance(after, Op) or labels.kind(after.main, after.notes) != "norm"


def _in_short(branch: list, times: int = 1) -> str:
    """A branch in one line, such as ``1x1 96, 3x3 128``."""
    words = ", ".join(labels.short(op.main) for item in branch for op in ops(item) if op.main) or "identity"
    return words if times == 1 else f"{times} \N{MULTIPLICATION SIGN} ({words})"
