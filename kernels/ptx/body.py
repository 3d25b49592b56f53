"""One function of PTX as C++: its registers, what its operands mean, and where its statements came from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from .opcodes import CPP, ROUNDED, WIDER, find
from .parse import BYTES, Function, Instruction, Label, Location, Registers, Scope, Unsupported, Variable

#: the same bits in a register of C++
BITS = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t", 8: "uint64_t"}
SPECIAL = {
    f"%{ptx}.{axis}": f"{cpp}.{axis}"
    for ptx, cpp in (("tid", "threadIdx"), ("ntid", "blockDim"), ("ctaid", "blockIdx"), ("nctaid", "gridDim"))
    for axis in "xyz"
}
SPECIAL |= {
    "%laneid": "sim_lane()",
    "WARP_SZ": "32",
    "%lanemask_eq": "1u << sim_lane()",
    "%lanemask_lt": "(1u << sim_lane()) - 1",
    "%lanemask_le": "(2u << sim_lane()) - 1",
    "%lanemask_gt": "~((2u << sim_lane()) - 1)",
    "%lanemask_ge": "~((1u << sim_lane()) - 1)",
}
ADDRESS = re.compile(r"\[\s*([%$\w]+)\s*(?:\+\s*(-?\w+))?\s*\]")


def identifier(name: str) -> str:
    """A name of PTX as one of C++."""
    return "ptx_" + re.sub(r"\W", "_", name)


class Body:
    """Translates one function.

    Parameters
    ----------
    function : Function
    variables : dict of str to Variable
        Those outside of functions.
    functions : dict of str to Function
        Those that may be called.
    files : dict of int to str
        The names behind the numbers of ``.loc``.
    filename : str
        The .cu file, whose lines reports shall name.
    """

    def __init__(
        self, function: Function, variables: dict[str, Variable], functions: dict[str, Function],
        files: dict[int, str], filename: str,
    ) -> None:  # fmt: skip
        self.function, self.functions, self.files, self.filename = function, functions, files, filename
        self.scopes: list[dict[str, tuple[str, object]]] = [{n: (identifier(n), v) for n, v in variables.items()}]
        self.declared: list[str] = []  # hoisted to the beginning, since C++ forbids a goto over a declaration
        self.shared: list[tuple[str, Variable]] = []
        self.local: list[tuple[str, int]] = []  # arrays of the thread's own, and their bytes
        self.labels = {statement.name for statement in function.body if isinstance(statement, Label)}
        self.line = function.line  # of the PTX, for messages
        self._scope_count = 0

    # names ------------------------------------------------------------------------------------------------------------
    def _declare(self, name: str, what: object) -> str:
        made = identifier(name) + (f"_{self._scope_count}" if len(self.scopes) > 2 else "")
        self.scopes[-1][name] = made, what
        return made

    def name(self, name: str) -> tuple[str, object]:
        """The C++ name, and the type of a register or the Variable."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        raise Unsupported(self.line, f"{name} is not declared")

    def known(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    def register(self, name: str) -> str:
        """The C++ name of a register."""
        made, what = self.name(name)
        if isinstance(what, Variable):
            raise Unsupported(self.line, f"{name} is memory, and a register is needed")
        return made

    # operands ---------------------------------------------------------------------------------------------------------
    def value(self, operand: str, type_: str) -> str:
        """An operand as a C++ expression of a type of PTX's."""
        cpp = CPP[type_] if type_ in CPP else self._no_type(type_)
        if operand.startswith("!"):
            return f"!{self.register(operand[1:])}"
        if operand in SPECIAL:
            return f"{cpp}({SPECIAL[operand]})"
        if found := re.fullmatch(r"([%$A-Za-z_][\w$%.]*)(?:\s*\+\s*(\d+))?", operand):
            if self.known(found[1]):
                made, what = self.name(found[1])
                if isinstance(what, Variable):
                    return f"{cpp}({self._address_of(made, what)} + {found[2] or 0})"
                return f"get<{cpp}>({made})"
            raise Unsupported(self.line, f"{operand} is neither declared nor a special register that is known")
        return self._constant(operand, type_, cpp)

    def _no_type(self, type_: str) -> str:
        raise Unsupported(self.line, f"the type .{type_} is not known")

    def _constant(self, text: str, type_: str, cpp: str) -> str:
        if found := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})|0[dD]([0-9a-fA-F]{16})", text):
            digits = found[1] or found[2]
            if type_ != "pred" and BYTES[type_] == len(digits) // 2:
                return f"get<{cpp}>({BITS[len(digits) // 2]}(0x{digits}ull))"
        elif re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|0|[1-9]\d*)U?", text) and type_[0] != "f":
            number = int(text.rstrip("U"), 0)
            return str(number != 0).lower() if type_ == "pred" else f"{cpp}(0x{number % 2**64:x}ull)"
        raise Unsupported(self.line, f"the constant {text} of type .{type_} is not understood")

    def _address_of(self, made: str, variable: Variable) -> str:
        if variable.space != "shared":
            return f"uint64_t(&{made})"
        if variable.external:
            return "PTX_DYNAMIC"
        return f"uint32_t(uint64_t(&{made}) - uint64_t(&ptx_anchor))"

    def store(self, operand: str, expression: str, type_: str) -> str:
        """A statement that puts a value of a type into a register; ``_`` stands for none."""
        cpp = CPP[type_] if type_ in CPP else self._no_type(type_)
        return "" if operand == "_" else f"put({self.register(operand)}, {cpp}({expression}));"

    def address(self, operand: str, space: str, size: int) -> str:
        """``[%rd1+8]`` as a C++ expression: where these bytes lie in this computer's memory."""
        found = ADDRESS.fullmatch(operand)
        if not found:
            raise Unsupported(self.line, f"the address {operand} is not understood")
        base, offset = self.value(found[1], "b64"), int(found[2] or "0", 0)
        made = f"{base} + {offset}ll" if offset else base
        if space == "local" and len(self.local) == 1:
            return f"within({made}, {size}, &{self.local[0][0]}, {self.local[0][1]})"
        return f"shared_to_generic({made}, dynamic)" if space == "shared" else made

    # statements -------------------------------------------------------------------------------------------------------
    def text(self) -> str:
        """The C++ function."""
        self.scopes.append({})
        self.declared.append("bool carry = false;")
        parameters = ", ".join(f"{_parameter_type(p)} {self._declare(p.name, p)}" for p in self.function.parameters)
        for variable in self.function.returns:
            self.declared.append(f"{_parameter_type(variable)} {self._declare(variable.name, variable)} = {{}};")
        lines = [self._statement(statement) for statement in self.function.body]
        head = f"static {self.result_type} {identifier(self.function.name)}({parameters})"
        here = [s.line for s in self.function.body if isinstance(s, Location) and self._ours(s.file)]
        begin = self._line(here[0] if here else self.function.line)
        return f"{begin}{head} {{ {' '.join(self.declared)}{''.join(lines)}\n{self.ending()} }}\n"

    def _ours(self, file: int) -> bool:
        """Whether a number of ``.loc`` is the .cu file's, and not that of a header."""
        return PurePath(self.files.get(file, "")).name == PurePath(self.filename).name

    def _line(self, line: int) -> str:
        return f'\n#line {line} "{self.filename}"\n'

    @property
    def result_type(self) -> str:
        returns = self.function.returns
        if len(returns) > 1:
            raise Unsupported(self.function.line, f"{self.function.name} returns {len(returns)} values")
        return _parameter_type(returns[0]) if returns else "void"

    def prototype(self) -> str:
        """The C++ function, announced."""
        parameters = ", ".join(map(_parameter_type, self.function.parameters))
        return f"static {self.result_type} {identifier(self.function.name)}({parameters});\n"

    def ending(self) -> str:
        """How it returns."""
        return f"return {self.name(self.function.returns[0].name)[0]};" if self.function.returns else "return;"

    def _statement(self, statement: object) -> str:
        match statement:
            case Scope(begins=True):
                self._scope_count += 1
                self.scopes.append({})
            case Scope(begins=False):
                self.scopes.pop()
            case Registers(type=type_, names=names):
                cpp = "bool" if type_ == "pred" else BITS[BYTES[type_]]
                self.declared.append(f"{cpp} {', '.join(f'{self._declare(n, type_)} = 0' for n in names)};")
            case Variable():
                self._variable(statement)
            case Location(file=file, line=line):
                return self._line(line) if self._ours(file) else ""
            case Label(name=name):
                return f" {identifier(name)}:;"
            case Instruction():
                self.line = statement.line
                here = "" if any(map(self._ours, self.files)) else self._line(statement.line)
                return here + self._instruction(statement)
        return ""

    def _variable(self, variable: Variable) -> None:
        made = self._declare(variable.name, variable)
        if variable.space == "shared":
            if not variable.external:
                self.shared.append((made, variable))
        elif variable.space == "local":
            self.local.append((made, variable.bytes))
            self.declared.append(f"alignas({variable.align}) unsigned char {made}[{variable.bytes}];")
        elif variable.space == "param":
            self.declared.append(f"{_parameter_type(variable)} {made} = {{}};")
        else:
            raise Unsupported(self.line, f"a variable in .{variable.space} inside of a function: {variable.name}")

    def _instruction(self, instruction: Instruction) -> str:
        from .special import SPECIAL_OPCODES  # which needs the above

        first = instruction.opcode.split(".")[0]
        if ".cc." in instruction.opcode:  # add.cc and others leave a carry, as addc does
            first = "addc"
        if first in SPECIAL_OPCODES:
            done = SPECIAL_OPCODES[first](self, instruction)
        else:
            done = self._from_table(instruction)
        if instruction.guard:
            return f" if ({self.value(instruction.guard, 'pred')}) {{ {done} }}"
        return f" {{ {done} }}"

    def _from_table(self, instruction: Instruction) -> str:
        found = find(instruction.opcode)
        if found is None:
            raise Unsupported(self.line, f"the instruction {instruction.opcode} is not known")
        row, type_, words = found
        kinds = {"T": type_, "W": WIDER.get(type_, "")}
        takes = [kinds.get(kind, kind) for kind in row.takes.split()]
        result, *operands = instruction.operands
        if len(operands) != len(takes):
            raise Unsupported(self.line, f"{instruction} has {len(operands)} operands instead of {len(takes)}")
        given = "".join(
            f"const {CPP[kind]} {letter} = {self.flushed(self.value(operand, kind), kind, words)}; "
            for letter, operand, kind in zip("abcd", operands, takes)
        )
        typed = f"using T = {CPP[type_]}; " + (f"using W = {CPP[WIDER[type_]]}; " if type_ in WIDER else "")
        code = self._rounded(row.code, words, len(takes))
        gives = kinds.get(row.gives, row.gives)
        return typed + given + self.store(result, self.flushed(f"{CPP[gives]}({code})", gives, words), gives)

    @staticmethod
    def flushed(code: str, type_: str, words: Iterable[str]) -> str:
        """With ``.ftz``: a float32 below the smallest normal one is 0."""
        return f"flushed({code})" if "ftz" in words and type_ == "f32" else code

    def _rounded(self, code: str, words: frozenset[str], count: int) -> str:
        """With a rounding other than to the nearest, and with the result cut to 0 ... 1."""
        for word, mode in ROUNDED.items():
            if word in words:
                letters = "abcd"[:count]
                again = "".join(f"const T {x} = opaque({x}_); " for x in letters)
                given = ", ".join(f"{x}_ = {x}" for x in letters)
                code = f"rounded({mode}, [{given}] {{ {again}return T({code}); }})"
        return f"saturated(T({code}))" if "sat" in words else code


def _parameter_type(variable: Variable) -> str:
    """Of a kernel's or function's parameter: a number, or the bytes of a struct."""
    if variable.bytes == BYTES[variable.type] and variable.type != "b8":
        return BITS[variable.bytes]
    return f"ptx_struct<{variable.bytes}, {variable.align}>"
