"""The parameters of a kernel, as C++ itself describes them."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    pointer: bool
    const: bool
    kind: str
    size: int

    def __str__(self) -> str:
        names = {
            "f4": "float", "f8": "double", "f2": "half", "i4": "int", "i8": "long long", "u4": "unsigned",
            "u8": "unsigned long long", "i1": "signed char", "u1": "unsigned char", "i2": "short",
            "u2": "unsigned short", "b1": "bool", "v0": "void",
        }  # fmt: skip
        name = names.get(f"{self.kind}{self.size}", f"struct of {self.size} bytes")
        return f"{'const ' if self.const else ''}{name}{'*' if self.pointer else ''}"


def parameters_of(types: str) -> tuple[Parameter, ...]:
    """``"pcf4;i8;"``: see ``describe`` in runtime/table.h."""
    found = []
    for part in types.split(";")[:-1]:
        pointer = part[0] == "p"
        kind, size = (part[2], part[3:]) if pointer else (part[0], part[1:])
        found.append(Parameter(pointer, pointer and part[1] == "c", kind, int(size) if size.isdigit() else 8))
    return tuple(found)
