"""A kernel's C signature, written down once: what each parameter is, and how a Python value becomes one.

CuPy passes a Python int as 8 bytes and a float as a double, whatever the kernel expects, and checks nothing: a float
parameter would read half of a double. Here every value is given the C type that the signature names, or refused.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass

import numpy as np

from . import backend

# Types of one width on every platform (`long` is not one), as CUDA names them.
TYPES = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "unsigned int": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "unsigned char": np.dtype(np.uint8),
}
ELEMENTS = {TYPES["float"]: "float", TYPES["double"]: "double"}  # what the T of a template may be
_LIMITS = {  # of whole numbers: least and greatest; of floating ones: how far they reach in either direction
    name: (int(np.iinfo(t).min), int(np.iinfo(t).max))
    if t.kind != "f"
    else (float(np.finfo(t).min), float(np.finfo(t).max))
    for name, t in TYPES.items()
}


@dataclass(frozen=True)
class Parameter:
    """One parameter: ``const T* x`` is (name "x", type "T", pointer, const); ``kernel`` says whose, for messages."""

    name: str
    type: str
    pointer: bool = False
    const: bool = False
    kernel: str = ""

    def __str__(self) -> str:
        return f"{'const ' * self.const}{self.type}{'*' * self.pointer} {self.name}"

    @property
    def where(self) -> str:
        return f"{self.kernel}, parameter {self.name}"

    def dtype(self, element: np.dtype | None) -> np.dtype:
        """NumPy's name for the type, where T stands for ``element``."""
        return element if self.type == "T" else TYPES[self.type]

    def check_array(self, value: object, element: np.dtype | None) -> None:
        """A device array of the right dtype, whole and aligned: a kernel sees an address and nothing else.

        Raises
        ------
        TypeError
            If it is no device array, or of another dtype.
        ValueError
            If it has gaps or another order in memory, or begins at an address that the type cannot have.
        """
        if not backend.is_device_array(value):
            what = "a NumPy array, which lies in the host's memory" if isinstance(value, np.ndarray) else repr(value)
            raise TypeError(f"{self.where}: a device array is needed, got {what}; move it there with xp.asarray(...)")
        wanted = self.dtype(element)
        if value.dtype != wanted:
            given = f"the array is {value.dtype}, the kernel reads {wanted} ({self.type})"
            raise TypeError(f"{self.where}: {given}; convert it with .astype(xp.{wanted})")
        if not value.flags.c_contiguous:
            given = f"shape {value.shape} with strides {value.strides} is not C-contiguous, and kernels ignore strides"
            remedy = "pass xp.ascontiguousarray(...)" if self.const else "let the kernel write into xp.empty(...)"
            raise ValueError(f"{self.where}: {given}; {remedy}")
        if value.data.ptr % wanted.itemsize and value.size:
            given = f"address {value.data.ptr:#x} is no multiple of {wanted.itemsize}, the size of {wanted}"
            raise ValueError(f"{self.where}: {given}; pass a copy (.copy())")

    def to_scalar(self, value: object, element: np.dtype | None) -> np.generic:
        """The number in the parameter's own type: exactly if that is an integer, else rounded.

        Raises
        ------
        TypeError
            If it is no number, or a fraction for an integer.
        ValueError
            If it does not fit: over 2**31 - 1 for an int, or beyond float32 for a float.
        """
        wanted = self.dtype(element)
        low, high = _LIMITS[ELEMENTS[element] if self.type == "T" else self.type]
        if wanted.kind == "f":
            number = value if type(value) is float else self._number(value)
            if not low <= number <= high and number == number and abs(number) != math.inf:  # these two fit as they are
                raise ValueError(f"{self.where}: {value!r} does not fit {wanted}, which ends at {high:.7g}; scale it")
        else:
            number = value if type(value) is int else self._whole_number(value)
            if not low <= number <= high:
                given = f"{number} does not fit {self.type}, which holds {low} to {high}"
                raise ValueError(f"{self.where}: {given}; make the arrays smaller, e.g. by a smaller batch")
        return wanted.type(number)

    def _number(self, value: object) -> int | float:
        self._no_array(value)
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(
                f"{self.where}: a number is needed ({self.type}), got {value!r}; convert it with float(...)"
            )
        return value.item() if isinstance(value, np.generic) else value

    def _whole_number(self, value: object) -> int:
        self._no_array(value)
        try:
            return operator.index(value)
        except TypeError:
            given = f"a whole number is needed ({self.type}), got {value!r}"
            raise TypeError(f"{self.where}: {given}; convert it") from None

    def _no_array(self, value: object) -> None:
        if backend.is_device_array(value) or isinstance(value, np.ndarray):
            raise TypeError(f"{self.where}: a number is needed ({self.type}), got an array; take it out with .item()")


def parse(signature: str, kernel: str = "") -> tuple[Parameter, ...]:
    """The parameters of a C parameter list; ``kernel`` says in messages whose they are.

    >>> [str(p) for p in parse("const T* x, T* y, long long size")]
    ['const T* x', 'T* y', 'long long size']

    Raises
    ------
    ValueError
        If a parameter is not of a type in ``TYPES``, T, or a pointer to one of them.
    """
    parameters = []
    for text in filter(None, (part.strip() for part in signature.split(","))):
        match = re.fullmatch(r"(const )?\s*([a-zA-Z ]+?)\s*(\*?)\s*(?:__restrict__\s*)?\b(\w+)", " ".join(text.split()))
        if not match or (match[2] != "T" and match[2] not in TYPES):
            raise ValueError(f"{text!r} is no parameter that a kernel may have; its type is T or {', '.join(TYPES)}")
        parameters.append(Parameter(match[4], match[2], match[3] == "*", match[1] is not None, kernel))
    return tuple(parameters)
