"""Tensor: an array, its gradient, and the Function that made it.

``.data`` and ``.grad`` are plain arrays: NumPy's on the CPU, CuPy's on a GPU (see ``device.py``). A 4-d array has the
logical shape (N, C, H, W); the framework's own results lie channels-last in memory (see ``kernels/layout.py``), which
changes no number and no index.

The operators (``+``, ``@``, ``x[...]``, ``.sum()`` ...) are given to this class by ``minicnn/ops/methods.py``.
"""

from __future__ import annotations

import numbers

import numpy as np

from .device import DEVICES, check_device, device_of, is_array, to_device, to_numpy
from .errors import ArgumentError, DeviceError, DtypeError, GraphError, ScalarError, ShapeError

FLOATS = frozenset(map(np.dtype, ("float16", "float32", "float64")))


class Tensor:
    """An array that remembers how it was computed.

    Attributes
    ----------
    data : array
    grad : array or None
        Same shape and dtype as ``data``; filled by :meth:`backward` for leaves with ``requires_grad``.
    requires_grad : bool
    node : Context or None
        What the Function that made this tensor kept; None for a leaf.
    """

    __slots__ = ("data", "grad", "requires_grad", "node", "__weakref__")
    __array_ufunc__ = None  # so that ndarray + Tensor comes to Tensor.__radd__

    def __init__(self, data: np.ndarray, requires_grad: bool = False) -> None:
        if not is_array(data):
            raise ArgumentError(
                f"Tensor wraps an array, got {type(data).__name__}; mc.tensor(...) makes one of anything"
            )
        if requires_grad and data.dtype not in FLOATS:
            raise DtypeError(f"only floating tensors have gradients; this one is {data.dtype}: pass dtype='float32'")
        self.data = data
        self.grad: np.ndarray | None = None
        self.requires_grad = requires_grad
        self.node = None

    # What it is ------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements (NumPy's meaning)."""
        return self.data.size

    @property
    def device(self) -> str:
        """Where the array lives: "cpu", "cuda" or "sim"."""
        return device_of(self.data)

    @property
    def is_leaf(self) -> bool:
        """True for what was made by hand; gradients of backward end up in leaves."""
        return self.node is None

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ScalarError(
                "a tensor without axes, shape (), has no length and nothing to iterate over; .item() gives its number"
            )
        return len(self.data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        text = np.array2string(to_numpy(self.data), separator=", ", prefix="tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        dtype += "" if self.device == "cpu" else f", device={self.device!r}"
        if self.node is not None:
            return f"tensor({text}{dtype}, made by {self.node.function.__name__})"
        return f"tensor({text}{dtype}{', requires_grad=True' if self.requires_grad else ''})"

    # Leaving the framework --------------------------------------------------------------------------------------
    def numpy(self) -> np.ndarray:
        """The array itself, not a copy. Raises DeviceError on other devices than the CPU."""
        if self.device != "cpu":
            raise DeviceError(
                f"this tensor of shape {self.shape} lives on {self.device}; NumPy reads x.to('cpu').numpy()"
            )
        return self.data

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> float:
        """The one element, as a Python number. Raises ShapeError if there are more."""
        if self.size != 1:
            raise ShapeError(f"item() takes a tensor of one element; this one has shape {self.shape}")
        return self.data.item()

    def tolist(self) -> list:
        """Nested lists of Python numbers."""
        return self.data.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub":
            raise ArgumentError(f"only a tensor of whole numbers can be an index; this one is {self.dtype}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __round__(self, digits: int | None = None) -> float:
        return round(self.item(), digits)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"a tensor of shape {self.shape} is neither true nor false; use .numpy().any() or .numpy().all()"
            )
        return bool(self.item())

    def detach(self) -> Tensor:
        """The same array without its history."""
        return Tensor(self.data)

    # Gradients ---------------------------------------------------------------------------------------------------
    def backward(self, grad=None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Walk the graph from here and add d(self)/d(leaf) into every leaf's ``.grad``.

        Parameters
        ----------
        grad : array_like, optional
            The gradient of the final result by this tensor, same shape; may be left out for one element (then 1).
        retain_graph : bool
            Keep what the walk needs, so that it can be repeated.

        Raises
        ------
        GraphError
            If nothing here requires a gradient, the graph was used up by an earlier backward, ``grad`` is missing for a
            tensor of several elements, or ``create_graph`` is asked for (there are no second derivatives here).
        """
        from .autograd import run_backward

        run_backward(self, grad, retain_graph, create_graph)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set ``requires_grad`` of a leaf; returns the tensor."""
        if self.node is not None:
            raise GraphError("requires_grad can be set on leaves only; detach() gives a leaf with the same array")
        if requires_grad and self.dtype not in FLOATS:
            raise DtypeError(f"only floating tensors have gradients; this one is {self.dtype}")
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> Tensor:
        """Ask for ``.grad`` of an intermediate result, which backward otherwise passes on and forgets."""
        if self.node is not None:
            self.node.retained_by = self
        return self

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def draw(self, path=None):
        """The graph that made this tensor, as a picture; see :func:`minicnn.draw.draw`."""
        from .draw import draw

        return draw(self, path)

    # Devices and dtypes ------------------------------------------------------------------------------------------
    def to(self, target=None, *, device: str | None = None, dtype=None) -> Tensor:
        """On another device (``"cpu"``, ``"cuda"``, ``"sim"``), or in another floating dtype; differentiable."""
        from .ops.move import move
        from .ops.shape import cast

        if target is None and (device, dtype) != (None, None):
            here = self if device is None else move(self, device)
            return here if dtype is None else here.to(dtype)
        return move(self, target) if isinstance(target, str) and target in DEVICES else cast(self, target)

    def __setitem__(self, index, value) -> None:
        if self.requires_grad:
            raise GraphError(
                "assigning into a tensor that requires a gradient would falsify the graph; build the result with "
                "mc.cat, mc.stack or a mask (x * mask), or change x.data under your own responsibility"
            )
        index = index.data if isinstance(index, Tensor) else index
        index = to_device(index, self.device) if is_array(index) else index
        try:
            self.data[index] = value if np.isscalar(value) else to_device(as_array(value), self.device)
        except (IndexError, ValueError) as error:
            raise ShapeError(
                f"assigning values of shape {np.shape(value)} into a tensor of shape {self.shape}: {error}"
            ) from None


def as_array(value) -> np.ndarray:
    """A tensor's array, an array of any device as it is, or anything NumPy can read."""
    return value.data if isinstance(value, Tensor) else value if is_array(value) else np.asarray(value)


def check_dtype(dtype, what: str = "a dtype of numbers") -> np.dtype:
    """A dtype of numbers, by its name or type."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "fiub":
        raise ArgumentError(f"{dtype!r} is not {what}: take 'float32', 'float64', 'int64', 'uint8' or 'bool'")
    return found


def tensor(array_like, dtype=None, requires_grad: bool = False, device: str = "cpu") -> Tensor:
    """Make a tensor from an array of any device, a (nested) list, a number or a tensor; the data are copied.

    Floating arrays keep their dtype, integer and boolean *arrays* too; Python numbers become float32.

    Parameters
    ----------
    array_like : array_like
    dtype : numpy dtype, optional
    requires_grad : bool
    device : {"cpu", "cuda", "sim"}

    Raises
    ------
    ShapeError
        If a nested list is ragged.
    DtypeError
        If the elements are not numbers, or do not fit into ``dtype``.

    Examples
    --------
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0]
    """
    check_device(device)
    if isinstance(array_like, (list, tuple)):
        array_like = _without_tensors(array_like)
    if array_like is None:
        raise DtypeError("a tensor cannot be made of None; does the function that gave it lack its return?")
    try:
        array = as_array(array_like)
        array = np.array(array) if isinstance(array, np.ndarray) else array.copy()
    except ValueError:
        raise ShapeError(
            f"the rows of a tensor must have equal lengths; here are rows of shapes {_unequal(array_like)}"
        ) from None
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"a tensor holds numbers; got elements of type {array.dtype} ({type(array_like).__name__})")
    if dtype is not None:
        array = _converted(array, check_dtype(dtype))
    from_python = not hasattr(array_like, "dtype") and not _holds_arrays(array_like)
    if dtype is None and from_python and array.dtype.kind != "b":
        array = array.astype(np.float32)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Tensor(to_device(array, device), requires_grad)


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu" and array.size:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not (array.min() >= low and array.max() <= high):  # true for NaN
            raise DtypeError(
                f"values from {array.min()} to {array.max()} do not fit into {dtype}, which holds {low} to {high}"
            )
    return array.astype(dtype, copy=False)


def _unequal(items) -> str:
    """The differing shapes in the innermost list that is ragged."""
    shapes = set()
    for item in items:
        try:
            shapes.add(np.shape(item))
        except ValueError:
            return _unequal(item)
    return " and ".join(map(str, sorted(shapes)))


def _without_tensors(items):
    """Nested lists with every Tensor in them replaced by its array."""
    return [
        _without_tensors(i) if isinstance(i, (list, tuple)) else i.data if isinstance(i, Tensor) else i for i in items
    ]


def _holds_arrays(items) -> bool:
    if isinstance(items, (list, tuple)):
        return any(_holds_arrays(i) for i in items)
    return hasattr(items, "dtype")


def as_tensor(value, dtype: np.dtype | None = None) -> Tensor:
    """A Tensor as it is; an array without copying; a Python number in ``dtype`` (that of the tensors beside it)."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, numbers.Number):  # NumPy's scalars too: x * np.sqrt(2) stays float32
        return Tensor(np.asarray(value, dtype=dtype or getattr(value, "dtype", np.float32)))
    return Tensor(value) if is_array(value) else tensor(value)
