"""The parameters of a kernel, as C++ itself describes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel, as C++ sees it.

    Attributes
    ----------
    pointer, const : bool
        ``const``: what it points to.
    kind : str
        "f" floating, "i" signed, "u" unsigned, "b" bool, "v" void, "s" a struct such as float4.
    size : int
        Bytes of one element.
    element : str
        Of a vector such as float4 kind and size of what it is made of: "f4"; "" if it is none.
    """

    pointer: bool
    const: bool
    kind: str
    size: int
    element: str = ""

    def __str__(self) -> str:
        names = {
            "f4": "float", "f8": "double", "f2": "half", "i4": "int", "i8": "long long", "u4": "unsigned",
            "u8": "unsigned long long", "i1": "signed char", "u1": "unsigned char", "i2": "short",
            "u2": "unsigned short", "b1": "bool", "v0": "void",
        }  # fmt: skip
        name = names.get(f"{self.kind}{self.size}", f"struct of {self.size} bytes")
        return f"{'const ' if self.const else ''}{self.element_name or name}{'*' if self.pointer else ''}"

    @property
    def element_name(self) -> str:
        """A vector's name, such as float4; "" if it is none."""
        names = {
            "f2": "half", "f4": "float", "f8": "double", "i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort",
            "i4": "int", "u4": "uint", "i8": "longlong", "u8": "ulonglong",
        }  # fmt: skip
        return f"{names[self.element]}{self.size // int(self.element[1:])}" if self.element else ""

    @property
    def dtype(self) -> np.dtype | None:
        """What an array for it is made of; None if anything will do, as for void and structs of the file's own."""
        name = self.element or f"{self.kind}{self.size}"
        return None if name[0] not in "fiub" else np.dtype(bool) if name[0] == "b" else np.dtype(name)

    def takes(self, dtype: np.dtype) -> bool:
        """Whether an array of a dtype holds what the parameter points to; two floats may be a complex number."""
        wanted = self.dtype
        if self.kind == "p":  # a pointer to pointers
            return dtype.kind in "iu" and dtype.itemsize == 8
        if wanted is None or dtype == wanted:
            return True
        if not self.element:
            return False
        record = dtype.kind == "V" and dtype.itemsize == self.size
        return record or (
            wanted.kind == "f" and dtype.kind == "c" and dtype.itemsize == self.size == 2 * wanted.itemsize
        )


def parameters_of(types: str) -> tuple[Parameter, ...]:
    """``"pcf4;i8;"``: see ``describe`` in runtime/table.h."""
    found = []
    for part in types.split(";")[:-1]:
        pointer = part[0] == "p"
        kind, size = (part[2], part[3:]) if pointer else (part[0], part[1:])
        size, _, element = size.partition(":")
        const = pointer and part[1] == "c"
        found.append(Parameter(pointer, const, kind, int(size) if size.isdigit() else 8, element))
    return tuple(found)
