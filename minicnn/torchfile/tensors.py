"""What a description says of tensors, checked, and the arrays made of it.

The functions in ``ALLOWED`` stand for PyTorch's of the same names. They build no array: a :class:`Tensor` is a note.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import FileError
from .unpickling import Callee, checked_key, expect


class Kind(NamedTuple):
    """A kind of numbers: PyTorch's name, and how NumPy reads the bytes. There is no bfloat16 in NumPy."""

    name: str
    code: str

    @property
    def itemsize(self) -> int:
        return int(self.code[1:])


UNTYPED = Kind("bytes", "u1")
STORAGES = {
    "DoubleStorage": Kind("float64", "f8"),
    "FloatStorage": Kind("float32", "f4"),
    "HalfStorage": Kind("float16", "f2"),
    "BFloat16Storage": Kind("bfloat16", "u2"),
    "LongStorage": Kind("int64", "i8"),
    "IntStorage": Kind("int32", "i4"),
    "ShortStorage": Kind("int16", "i2"),
    "CharStorage": Kind("int8", "i1"),
    "ByteStorage": Kind("uint8", "u1"),
    "BoolStorage": Kind("bool", "u1"),
}
#: kinds that came too late to get a storage of their own: the tensor itself names them
LATER = {name: Kind(name, f"u{bits // 8}") for name, bits in (("uint16", 16), ("uint32", 32), ("uint64", 64))}


class Storage(NamedTuple):
    """A row of ``count`` numbers, by its key in the file."""

    key: str
    kind: Kind
    count: int

    @property
    def nbytes(self) -> int:
        return self.count * self.kind.itemsize


class Tensor(NamedTuple):
    """Where the numbers of a tensor lie; offset and strides count numbers, not bytes, as PyTorch does."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def whole(value, what: str) -> int:
    """A whole number that fits into 63 bits; first of all, before anything is computed with it."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise FileError(f"it is damaged: {what} of a tensor is no whole number")
    return value


def storage(reference) -> Storage:
    """What BINPERSID says: ("storage", kind, key, device, count), in legacy files also a view, which is None."""
    word, kind, key, _, count, *view = expect(reference, tuple)[:6]
    if word != "storage" or view not in ([], [None]):
        raise FileError(f"it refers to {'a view of a storage' if view else 'something else than a storage'}")
    return Storage(expect(key, str), expect(kind, Kind), whole(count, "the storage"))


def rebuild_tensor_v2(source, offset, size, stride, requires_grad, hooks, metadata=None) -> Tensor:
    """A strided view of a storage.

    Raises
    ------
    FileError
        Any of its numbers would lie outside the storage.
    """
    if expect(source, Storage).kind is UNTYPED:
        raise FileError("it is damaged: a tensor of bytes does not say what they are")
    if metadata:  # such as "negate when read"
        raise FileError("it holds a conjugated or negated view of a tensor; save a copy of it: tensor.clone()")
    if len(expect(size, tuple)) != len(expect(stride, tuple)) or len(size) > 64:
        raise FileError(f"it is damaged: a tensor has {len(size)} sizes and {len(stride)} strides")
    shape = tuple(whole(s, "a size") for s in size)
    strides = tuple(whole(s, "a stride") for s in stride)
    last = whole(offset, "the offset") + sum((n - 1) * step for n, step in zip(shape, strides))
    if 0 not in shape and last >= source.count:
        raise FileError(
            f"it is damaged: a tensor of shape {shape} and strides {strides} at {offset} reaches to number {last} of "
            f"a storage of {source.count}"
        )
    return Tensor(source, offset if 0 not in shape else 0, shape, strides)


def rebuild_tensor_v3(source, offset, size, stride, requires_grad, hooks, dtype, metadata=None) -> Tensor:
    """The same of a storage of bytes, with the kind of numbers."""
    kind, size_of_all = expect(dtype, Kind), expect(source, Storage).count
    if source.kind is not UNTYPED or size_of_all % kind.itemsize:
        raise FileError(f"it is damaged: {size_of_all} bytes are no row of {kind.name}")
    typed = Storage(source.key, kind, size_of_all // kind.itemsize)
    return rebuild_tensor_v2(typed, offset, size, stride, requires_grad, hooks, metadata)


def rebuild_parameter(data, requires_grad, hooks) -> Tensor:
    return expect(data, Tensor)


def ordered_dict(pairs=()) -> dict:
    """Empty, and filled afterwards; Python 2 gave a list of pairs. It is emptied: nothing can be copied often."""
    made = {checked_key(key): value for key, value in pairs}
    if made:
        expect(pairs, list).clear()
    return made


def size(numbers=()) -> tuple:
    return expect(numbers, tuple)


def _named(module: str, **functions) -> dict:
    return {(module, name): Callee(f"{module}.{name}", function) for name, function in functions.items()}


ALLOWED = {
    **_named("collections", OrderedDict=ordered_dict),
    **_named(
        "torch._utils",
        _rebuild_tensor_v2=rebuild_tensor_v2,
        _rebuild_tensor_v3=rebuild_tensor_v3,
        _rebuild_parameter=rebuild_parameter,
    ),
    **_named("torch", Size=size),
    **{(module, name): kind for module in ("torch", "torch.cuda") for name, kind in STORAGES.items()},
    ("torch.storage", "UntypedStorage"): UNTYPED,
    **{("torch", name): kind for name, kind in LATER.items()},
}


class Viewer:
    """Makes arrays of tensors.

    Parameters
    ----------
    memory : array of uint8
        The whole file.
    places : dict of str to int
        Where in it each storage begins.
    order : {"little", "big"}
        Of the bytes of a number.
    """

    def __init__(self, memory: np.ndarray, places: dict[str, int], order: str) -> None:
        self.memory, self.places, self.order = memory, places, order
        self._rows: dict[tuple, np.ndarray] = {}

    def array(self, tensor: Tensor) -> np.ndarray:
        """The tensor as an array in this machine's order of bytes."""
        nbytes = math.prod(n or 1 for n in tensor.shape) * tensor.storage.kind.itemsize
        if nbytes > max(self.memory.nbytes, 2**20):  # one number, repeated with stride 0
            raise FileError(f"a tensor of shape {tensor.shape} would be larger than the file")
        row = self._row(tensor.storage)
        if 0 in tensor.shape:
            return np.empty(tensor.shape, row.dtype)
        strides = [step * row.itemsize for step in tensor.strides]
        return np.ndarray(tensor.shape, row.dtype, row, tensor.offset * row.itemsize, strides)  # checks the bounds, too

    def _row(self, storage: Storage) -> np.ndarray:
        """All numbers of a storage. What needs no converting is a view of the file."""
        key = storage.key, storage.kind
        if key not in self._rows:
            start = self.places[storage.key]
            dtype = np.dtype(storage.kind.code).newbyteorder(self.order)
            self._rows[key] = _native(self.memory[start : start + storage.nbytes].view(dtype), storage.kind)
        return self._rows[key]


def _native(raw: np.ndarray, kind: Kind) -> np.ndarray:
    """
    >>> _native(np.array([0x3FC0], "<u2"), STORAGES["BFloat16Storage"])
    array([1.5], dtype=float32)
    """
    if kind.name == "bfloat16":  # the upper half of a float32
        wide = raw.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    if kind.name == "bool":
        return raw != 0
    return raw if raw.dtype.isnative else raw.astype(raw.dtype.newbyteorder("="))
