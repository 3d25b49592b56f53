"""The text of a PTX program, taken apart: functions, variables, instructions. What they mean, :mod:`.opcodes` knows.

PTX (NVIDIA's "Parallel Thread Execution ISA") is assembly for an idealised GPU with as many registers as one likes::

    .visible .entry twice(.param .u64 twice_param_0)
    {
        .reg .f32 %f<3>;
        .reg .b64 %rd<2>;
        ld.param.u64   %rd1, [twice_param_0];
        ld.global.f32  %f1, [%rd1];
        add.ftz.f32    %f2, %f1, %f1;
        st.global.f32  [%rd1], %f2;
        ret;
    }
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..sim.build import CompileError

BYTES = {f"{kind}{bits}": bits // 8 for kind in "bus" for bits in (8, 16, 32, 64)} | {"f16": 2, "f32": 4, "f64": 8}


class Unsupported(CompileError):  # noqa: N818 - it is what the text is, not a failure
    """The PTX holds something whose meaning is not known here. It is named with its line, and nothing is guessed."""

    def __init__(self, line: int, what: str) -> None:
        self.line, self.what = line, what
        super().__init__(f"PTX line {line}: {what}")


@dataclass(frozen=True)
class Variable:
    """Memory with a name: ``.shared .align 8 .b8 tile[2048]``. ``bytes`` 0: as many as the launch gives."""

    space: str  # param, shared, global, const or local
    type: str
    name: str
    align: int
    bytes: int
    initial: str = ""  # as the text has it
    external: bool = False
    line: int = field(default=0, compare=False)  # of the PTX text


@dataclass(frozen=True)
class Registers:
    """``.reg .b32 %r<3>`` declares %r0, %r1 and %r2."""

    type: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Instruction:
    """``@!%p1 add.ftz.f32 %f1, %f2, 0f3F800000``"""

    line: int  # of the PTX text
    opcode: str
    operands: tuple[str, ...] = ()
    guard: str = ""  # "%p1" or "!%p1": the predicate under which it is executed

    def __str__(self) -> str:
        return f"{self.opcode} {', '.join(self.operands)}".strip()


@dataclass(frozen=True)
class Label:
    name: str


@dataclass(frozen=True)
class Location:
    """``.loc``: what follows was made of this line of a .cu file."""

    file: int
    line: int


@dataclass(frozen=True)
class Scope:
    """``{`` or ``}`` inside of a function: names that are declared in between end there."""

    begins: bool


@dataclass
class Function:
    """A kernel (``.entry``) or a function that kernels call (``.func``)."""

    name: str
    entry: bool
    line: int
    parameters: list[Variable]
    returns: list[Variable] = field(default_factory=list)
    body: list = field(default_factory=list)
    most_threads: int = 0  # of a block, as __launch_bounds__ says; 0: as many as the hardware takes


@dataclass
class Program:
    """A whole text."""

    files: dict[int, str] = field(default_factory=dict)  # number -> name, of .loc
    variables: list[Variable] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)


def parse(text: str) -> Program:
    """Take a PTX text apart.

    Raises
    ------
    Unsupported
        With the line of what is no PTX, or a kind of declaration that is not known.
    """
    text = re.sub(r'("[^"]*")|//[^\n]*|/\*.*?\*/', lambda m: m[1] or re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    program, at = Program(), 0
    while match := re.compile(r"\S").search(text, at):
        at = match.start()
        line = text.count("\n", 0, at) + 1
        if head := re.compile(r"\.(version|target|address_size)\b[^\n]*").match(text, at):
            at = head.end()
        elif head := re.compile(r'\.file\s+(\d+)\s+"([^"]*)"[^\n]*').match(text, at):
            program.files[int(head[1])], at = head[2], head.end()
        elif head := re.compile(r"\.section\b[^{]*").match(text, at):  # notes for debuggers
            at = _closing(text, head.end(), line)
        elif head := re.compile(r"(\.(visible|weak|extern)\s+)*\.(entry|func)\b").match(text, at):
            at = _function(program, text, at, head[3] == "entry", line)
        else:
            end = text.find(";", at)
            if end < 0:
                raise Unsupported(line, f"a declaration does not end: {text[at : at + 60].split(chr(10))[0]!r}")
            program.variables.append(_variable(" ".join(text[at:end].split()), line))
            at = end + 1
    return program


def _closing(text: str, begin: int, line: int) -> int:
    """The place behind the brace that closes the one at ``begin``."""
    depth = 0
    for brace in re.compile(r"[{}]").finditer(text, begin):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    raise Unsupported(line, "a brace is not closed")


_HEAD = re.compile(
    r"[^(]*?\.(?:entry|func)\s+(?:\.noreturn\s+)?(?:\((?P<returns>[^)]*)\)\s*)?(?P<name>[\w$%]+)\s*"
    r"(?:\((?P<parameters>[^)]*)\))?(?P<limits>[^{;]*)(?P<end>[{;])"
)


def _function(program: Program, text: str, at: int, entry: bool, line: int) -> int:
    """Add the function that begins at ``at``; return where it ends."""
    head = _HEAD.match(text, at)
    if head is None:
        raise Unsupported(line, "the head of a function is not understood")
    if head["end"] == ";":  # only announced; a call of what nobody defines is found there
        return head.end()
    parameters, returns = (
        [_variable(" ".join(part.split()), line) for part in (head[what] or "").split(",") if part.strip()]
        for what in ("parameters", "returns")
    )
    made = Function(head["name"], entry, line, parameters, returns)
    if found := re.search(r"\.(?:maxntid|reqntid)\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?", head["limits"]):
        made.most_threads = math.prod(int(size) for size in found.groups() if size)
    begin = head.end() - 1
    end = _closing(text, begin, line)
    made.body.extend(_statements(text[begin + 1 : end - 1], line + text.count("\n", at, begin)))
    program.functions.append(made)
    return end


_LABEL = re.compile(r"([$%\w]+)\s*:(?!:)")
_LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)[^\n]*")


def _statements(text: str, line: int) -> Iterator:
    """The statements of a body whose text begins in a line."""
    at = 0
    while match := re.compile(r"\S").search(text, at):
        line += text.count("\n", at, match.start())
        at = match.start()
        if text[at] in "{}":
            yield Scope(text[at] == "{")
            end = at + 1
        elif found := _LOC.match(text, at):
            yield Location(int(found[1]), int(found[2]))
            end = found.end()
        elif found := _LABEL.match(text, at):
            yield Label(found[1])
            end = found.end()
        else:
            end = text.find(";", at) + 1
            if not end:
                raise Unsupported(line, f"a statement does not end: {text[at:].split(chr(10))[0].strip()!r}")
            yield from _statement(" ".join(text[at : end - 1].split()), line)
        line += text.count("\n", at, end)
        at = end


def _statement(text: str, line: int) -> Iterator:
    if text.startswith(".pragma"):
        return
    if re.match(r"\.reg\b", text):
        yield _registers(text, line)
    elif text.startswith("."):
        yield _variable(text, line)
    else:
        found = re.fullmatch(r"(?:@(!?%[\w$]+)\s+)?([a-z][\w.:]*)\s*(.*)", text)
        if not found:
            raise Unsupported(line, f"{text!r} is no instruction")
        yield Instruction(line, found[2], _operands(found[3]), found[1] or "")


def _operands(text: str) -> tuple[str, ...]:
    """Split at commas that stand in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(part.strip() for part in parts) if text.strip() else ()


def _registers(text: str, line: int) -> Registers:
    found = re.fullmatch(r"\.reg ?\.(\w+) (.*)", text)
    if not found or found[1] not in (*BYTES, "pred"):
        raise Unsupported(line, f"registers of a type that is not known: {text!r}")
    names: list[str] = []
    for part in re.split(r"\s*,\s*", found[2]):
        several = re.fullmatch(r"(%?[\w$]+)<(\d+)>", part)
        names += [f"{several[1]}{i}" for i in range(int(several[2]))] if several else [part]
    return Registers(found[1], tuple(names))


_VARIABLE = re.compile(
    r"(?P<linking>(?:\.(?:visible|weak|extern|common) )*)\.(?P<space>param|shared|global|const|local)"
    r"(?: \.align (?P<align>\d+))? \.(?P<type>\w+)(?: \.ptr(?: \.(?:global|shared|const|local))?(?: \.align \d+)?)?"
    r" (?P<name>[\w$%]+)(?P<array>\s?\[(?P<count>\d*)\])?(?: ?= ?(?P<initial>.*))?"
)


def _variable(text: str, line: int) -> Variable:
    found = _VARIABLE.fullmatch(text)
    if not found or found["type"] not in BYTES:
        raise Unsupported(line, f"a declaration that is not known: {text!r}")
    size = BYTES[found["type"]]
    count = int(found["count"] or 0) if found["array"] else 1
    align = int(found["align"] or size)
    external = ".extern" in found["linking"]
    return Variable(
        found["space"], found["type"], found["name"], align, size * count, found["initial"] or "", external, line
    )
