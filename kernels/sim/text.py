"""What can be read off the text of a .cu file without a compiler: which kernels it has. The rest C++ itself says."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOUNDS = r"(?:__launch_bounds__\s*\((?P<{}>(?:[^()]|\([^()]*\))*)\)\s*)?"
_KERNEL = re.compile(
    r"(?P<template>template\s*<(?P<parameters>[^;{}()]*)>\s*)?(?P<c>extern\s+\"C\"\s+)?(?:static\s+|inline\s+)*"
    rf"(?:__global__\s+{_BOUNDS.format('first')}(?:\w+\s+)*?void|void\s+__global__)\s+{_BOUNDS.format('second')}"
    r"(?P<name>\w+)\s*\("
)
_ALIGNED = r"(?:(?:__align__|alignas)\s*\(\w+\)\s*)?"
_DYNAMIC = re.compile(rf"extern\s+{_ALIGNED}__shared__\s+{_ALIGNED}[\w:\s<>]+?\**\s*(\w+)\s*\[\s*\]")
_NAMED = re.compile(r'#line 1 "([^"\n]+)"')
_STRING = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\''
_DIRECTIVE = r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*"
_SCOPE = re.compile(r'(?P<scope>(?:inline\s+)?namespace\b(?P<space>[\w\s:]*)|(?P<c>extern\s+"C"\s*))?(?P<brace>[{}])')


@dataclass(frozen=True)
class Found:
    """A kernel in a text: its name, what C++ calls it from outside, and what stands with it.

    Attributes
    ----------
    name : str
        As a launch names it: with the namespaces around it, unless it is ``extern "C"``.
    inside : str
        With the namespaces, in any case.
    template : str or None
        The parameters of a template.
    bounds : str
        How many threads a block may have, as ``__launch_bounds__`` says it; "" if there is none.
    """

    name: str
    inside: str
    template: str | None
    bounds: str

    @property
    def an_instance(self) -> str:
        """How to ask for a template, for messages: ``relu<float>``."""
        given = []
        for parameter in (self.template or "").split(","):
            kind = parameter.split("=")[0].split()[:-1] or parameter.split()
            first = " ".join(kind)
            given.append({"typename": "float", "class": "float", "bool": "true"}.get(first, "32"))
        return f"{self.name}<{', '.join(given)}>"


def without_comments(text: str) -> str:
    """The text with blanks for comments, so that lines and columns stay."""
    return _blanked(rf"{_STRING}|(?P<drop>//[^\n]*|/\*.*?\*/)", text)


def code_alone(text: str) -> str:
    """The text with blanks for comments, strings and lines of the preprocessor."""
    text = _blanked(rf"(?P<drop>{_DIRECTIVE})", without_comments(text), re.M)
    return _blanked(rf'extern\s+"C"|(?P<drop>{_STRING})', text)


def _blanked(pattern: str, text: str, flags: int = 0) -> str:
    blank = lambda m: m[0] if m["drop"] is None else re.sub(r"[^\n]", " ", m[0])  # noqa: E731
    return re.sub(pattern, blank, text, flags=re.S | flags)


def found_kernels(text: str) -> list[Found]:
    """The kernels in a text, each once."""
    code, found = code_alone(text), {}
    for match in _KERNEL.finditer(code):
        spaces, in_c = _around(code, match.start())
        template = match["parameters"]
        if template is None and code[: match.start()].rstrip().endswith(">"):  # one with parentheses in its parameters
            template = ""
        inside = "::".join([*spaces, match["name"]])
        bounds = next((_first(match[which]) for which in ("first", "second") if match[which]), "")
        words = re.findall(r"\w+", template or "")
        usable = template != "" and not any(word in words for word in re.findall(r"[A-Za-z_]\w*", bounds))
        one = Found(match["name"] if match["c"] or in_c else inside, inside, template, bounds if usable else "")
        if one.name not in found or bounds:  # the bounds may stand at the declaration or at the definition
            found[one.name] = one
    return list(found.values())


def not_understood(text: str) -> list[int]:
    """Lines of the text with a ``__global__`` behind which no kernel was recognised."""
    code = code_alone(text)
    spans = [match.span() for match in _KERNEL.finditer(code)]
    places = [m.start() for m in re.finditer(r"\b__global__\b", code)]
    return [code.count("\n", 0, at) + 1 for at in places if not any(a <= at < b for a, b in spans)]


def _around(code: str, at: int) -> tuple[list[str], bool]:
    """The namespaces around a place, from the outside in; whether one of the braces around it is of extern "C"."""
    stack: list[tuple[list[str], bool]] = []
    for match in _SCOPE.finditer(code, 0, at):
        if match["brace"] == "{":
            space = [part.strip() for part in (match["space"] or "").split("::") if part.strip()]
            stack.append((space, match["c"] is not None))
        elif stack:
            stack.pop()
    return [part for space, _ in stack for part in space], any(c for _, c in stack)


def _first(arguments: str) -> str:
    """The first of some arguments: what stands before the first comma that is in no parentheses."""
    depth = 0
    for i, character in enumerate(arguments):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            return arguments[:i].strip()
    return arguments.strip()


def kernel_names(text: str) -> list[str]:
    """Names of the kernels in a .cu text that are no templates, each once."""
    return [kernel.name for kernel in found_kernels(text) if kernel.template is None]


def parameters_of(text: str, name: str) -> list[str]:
    """The parameters of a kernel, each as the text writes it; none if there is no kernel of this name."""
    text = code_alone(text)
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


def compilers_name(filename: str) -> str:
    """What a file is called in the compilation: without marks that C++ or our reports would misread."""
    return re.sub(r'[\x00-\x1f"\\|#]', "_", filename) or "kernel.cu"


def named_file(text: str, otherwise: str) -> str:
    """The file that a text says it is, by a first line ``#line 1 "name"``."""
    said = _NAMED.match(text)
    return said[1] if said else otherwise
