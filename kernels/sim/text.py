"""What can be read off the text of a .cu file without a compiler: which kernels it has. The rest C++ itself says."""

from __future__ import annotations

import re

_BOUNDS = r"(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?"
_KERNEL = re.compile(
    r"(?P<template>template\s*<[^;{}()]*>\s*)?(?:extern\s+\"C\"\s+)?(?:static\s+|inline\s+)*__global__\s+"
    rf"{_BOUNDS}(?:\w+\s+)*?void\s+{_BOUNDS}(?P<name>\w+)\s*\("
)
_ALIGNED = r"(?:(?:__align__|alignas)\s*\(\w+\)\s*)?"
_DYNAMIC = re.compile(rf"extern\s+{_ALIGNED}__shared__\s+{_ALIGNED}[\w:\s<>]+?\**\s*(\w+)\s*\[\s*\]")
_NAMED = re.compile(r'#line 1 "([^"\n]+)"')


def without_comments(text: str) -> str:
    """The text with blanks for comments, so that lines and columns stay."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())  # noqa: E731
    return re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)


def kernel_names(text: str) -> list[str]:
    """Names of the kernels in a .cu text that are no templates, each once."""
    found = (m["name"] for m in _KERNEL.finditer(without_comments(text)) if not m["template"])
    return list(dict.fromkeys(found))


def parameters_of(text: str, name: str) -> list[str]:
    """The parameters of a kernel, each as the text writes it; none if there is no kernel of this name."""
    text = without_comments(text)
    found = next((m for m in _KERNEL.finditer(text) if m["name"] == name), None)
    if found is None:
        return []
    inside, depth = "", 1
    for character in text[found.end() :]:
        depth += {"(": 1, "<": 1, "[": 1, ")": -1, ">": -1, "]": -1}.get(character, 0)
        if depth == 0:
            break
        inside += "\n" if character == "," and depth == 1 else " " if character.isspace() else character
    return [" ".join(part.split()) for part in inside.split("\n") if part.strip()]


def dynamic_names(text: str) -> tuple[str, ...]:
    """Names of the arrays in dynamic shared memory: ``extern __shared__ float name[];``."""
    return tuple(sorted(set(_DYNAMIC.findall(without_comments(text)))))


def named_file(text: str, otherwise: str) -> str:
    """The file that a text says it is, by a first line ``#line 1 "name"``."""
    said = _NAMED.match(text)
    return said[1] if said else otherwise
