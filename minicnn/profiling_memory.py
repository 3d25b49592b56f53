"""What a graph holds in memory, and which layer made it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .autograd import Context
from .device import is_array
from .kernels import shapes
from .tensor import Tensor

MB = 1e6


def buffer(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory which ``array`` is a view of."""
    while is_array(array.base):
        array = array.base
    return array


def kept_bytes(
    root: Tensor, maker: Callable[[Context], str], maker_of_leaf: Callable[[np.ndarray], str | None],
    outside: Iterable[np.ndarray],
) -> dict[str, int]:  # fmt: skip
    """Bytes that the graph behind ``root`` holds, by maker: saved arrays and leaves, each buffer once.

    An array that one operation made and the next saved is booked to the one that made it.

    Parameters
    ----------
    root : Tensor
        The loss; it is held by the caller, not by the graph.
    maker : callable(Context) -> str
        Who ran this operation.
    maker_of_leaf : callable(array) -> str or None
        Who made this array without a trace in the graph, such as a frozen layer; None: it came from outside, as the
        images do, and is not counted.
    outside : iterable of arrays
        Not to be counted either: parameters and buffers.
    """
    nodes = sorted(_nodes(root), key=lambda node: node.order)
    tensors = [t for node in nodes for t in node.inputs if t is not None]
    seen = {_address(array) for array in outside}
    kept: dict[str, int] = {}

    def count(array: np.ndarray, name: str) -> None:
        address = _address(array)
        if address not in seen:
            seen.add(address)
            kept[name] = kept.get(name, 0) + _size(array)

    for leaf in (t for t in tensors if t.node is None):
        if (name := maker_of_leaf(leaf.data)) is None:
            seen.add(_address(leaf.data))
        else:
            count(leaf.data, name)
    made: dict[int, Context] = {}
    for result in sorted((t for t in tensors if t.node is not None), key=lambda t: t.node.order):
        if result.seen is not None and (array := result.seen()) is not None:
            made.setdefault(_address(array), result.node)  # what made it first; the others made views
    for node in nodes:
        for array in _saved(node):
            count(array, maker(made.get(_address(array), node)))
    return kept


def _address(array: np.ndarray) -> int:
    owner = buffer(array)
    return owner.__array_interface__["data"][0] if isinstance(owner, np.ndarray) else owner.data.ptr


def _size(array: np.ndarray) -> int:
    """Bytes of an array's memory; where only shapes are asked for, of the memory that it would have."""
    return max(array.nbytes, buffer(array).nbytes) if shapes.wanted() else buffer(array).nbytes


def _nodes(root: Tensor) -> set[Context]:
    found: set[Context] = set()
    waiting = [root.node]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found and not node.freed:
            found.add(node)
            waiting += [t.node for t in node.inputs if t is not None]
    return found


def _saved(node: Context) -> Iterator[np.ndarray]:
    """Arrays in ``save_for_backward`` and in attributes that a forward set on ``ctx``, also in tuples, lists, dicts."""
    for name, value in vars(node).items():
        values = value if isinstance(value, (tuple, list)) else value.values() if isinstance(value, dict) else [value]
        if name != "inputs":
            yield from (v for v in values if is_array(v))


def total_bytes(arrays: Iterable) -> int:
    """Bytes of those that are arrays."""
    return sum(a.nbytes for a in arrays if is_array(a))


def peak_mb() -> float | None:
    """The most memory this process has occupied so far, in MB (10^6 bytes); None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / MB
