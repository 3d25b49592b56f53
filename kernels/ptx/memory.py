"""Instructions that move data: ld, st, mov, atom and red; and those that convert it: cvt, cvta."""

from __future__ import annotations

from .body import ADDRESS, BITS, Body
from .opcodes import CPP, ROUNDED
from .parse import BYTES, Instruction, Unsupported, Variable

HERE = "__FILE__, __LINE__"


def words_of(body: Body, instruction: Instruction, known: str) -> list[str]:
    """The opcode's words; one that is not known is refused."""
    words = instruction.opcode.split(".")[1:]
    for word in words:
        if word not in known.split():
            raise Unsupported(body.line, f"the instruction {instruction.opcode} is not known (.{word})")
    return words


def refuse(body: Body, instruction: Instruction) -> str:
    raise Unsupported(body.line, f"the instruction {instruction} is not known")


TYPES = " ".join(CPP)
SPACES = ("global", "shared", "local", "const", "param")


def _space(words: list[str]) -> str:
    return next((word for word in words if word in SPACES), "generic")


def _elements(body: Body, operand: str, words: list[str]) -> tuple[list[str], str]:
    """What is moved at once: registers, and the type of a piece of memory of that size."""
    count = next((int(word[1]) for word in words if word in ("v2", "v4")), 1)
    registers = [part.strip() for part in operand.strip("{}").split(",")]
    size = BYTES[words[-1]] * count
    if len(registers) != count or size > 16:
        raise Unsupported(body.line, f"{operand} is not {count} elements of together at most 16 bytes")
    return registers, BITS.get(size, "ptx_u128")


def load(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, f"global shared local const param nc volatile v2 v4 {TYPES}")
    type_, space = words[-1], _space(words)
    if space == "param":
        made, offset = _parameter(body, instruction.operands[1])
        registers, _ = _elements(body, instruction.operands[0], words)
        step = BYTES[type_]
        return " ".join(
            body.store(r, f"from_parameter<{CPP[type_]}>(&{made}, {offset + i * step})", type_)
            for i, r in enumerate(registers)
        )
    registers, whole = _elements(body, instruction.operands[0], words)
    address = body.address(instruction.operands[1], space, BYTES[type_] * len(registers))
    if len(registers) == 1:
        return body.store(registers[0], f"*(const {CPP[type_]}*)({address})", type_)
    bits = 8 * BYTES[type_]
    parts = (
        body.store(r, f"get<{CPP[type_]}>({BITS[bits // 8]}(all >> {i * bits}))", type_)
        for i, r in enumerate(registers)
    )
    return f"const {whole} all = *(const {whole}*)({address}); " + " ".join(parts)


def store(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, f"global shared local param volatile v2 v4 {TYPES}")
    type_, space = words[-1], _space(words)
    registers, whole = _elements(body, instruction.operands[1], words)
    values = [body.value(r, type_) for r in registers]
    if space == "param":
        made, offset = _parameter(body, instruction.operands[0])
        step = BYTES[type_]
        return " ".join(f"to_parameter(&{made}, {offset + i * step}, {v});" for i, v in enumerate(values))
    address = body.address(instruction.operands[0], space, BYTES[type_] * len(registers))
    if len(values) == 1:
        return f"*({CPP[type_]}*)({address}) = {values[0]};"
    bits = BITS[BYTES[type_]]
    joined = " | ".join(f"{whole}(get<{bits}>({v})) << {8 * i * BYTES[type_]}" for i, v in enumerate(values))
    return f"*({whole}*)({address}) = {joined};"


def _parameter(body: Body, operand: str) -> tuple[str, int]:
    """``[name+4]`` of a parameter: the C++ variable, and the offset."""
    found = ADDRESS.fullmatch(operand)
    made, variable = body.name(found[1]) if found else ("", None)
    if not isinstance(variable, Variable) or variable.space != "param":
        raise Unsupported(body.line, f"{operand} is no parameter")
    return made, int(found[2] or "0", 0)


def move(body: Body, instruction: Instruction) -> str:
    if instruction.opcode == "mov.pred":
        return body.store(instruction.operands[0], body.value(instruction.operands[1], "pred"), "pred")
    (type_,) = words_of(body, instruction, TYPES)
    to, of = instruction.operands
    if to.startswith("{"):
        registers = [part.strip() for part in to.strip("{}").split(",")]
        bits = 8 * BYTES[type_] // len(registers)
        whole = BITS[BYTES[type_]]
        parts = (body.store(r, f"all >> {i * bits}", f"b{bits}") for i, r in enumerate(registers))
        return f"const {whole} all = get<{whole}>({body.value(of, type_)}); " + " ".join(parts)
    if of.startswith("{"):
        registers = [part.strip() for part in of.strip("{}").split(",")]
        bits, whole = 8 * BYTES[type_] // len(registers), BITS[BYTES[type_]]
        joined = " | ".join(f"{whole}({body.value(r, f'b{bits}')}) << {i * bits}" for i, r in enumerate(registers))
        return body.store(to, joined, f"b{8 * BYTES[type_]}")
    return body.store(to, body.value(of, type_), type_)


def convert_address(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, "to global shared local const param u64 u32")
    to, of = instruction.operands
    value = body.value(of, words[-1])
    if "shared" in words:
        value = f"{'generic_to_shared' if 'to' in words else 'shared_to_generic'}({value}, dynamic)"
    return body.store(to, value, words[-1])


_TO_WHOLE = {"rni": "nearbyint(a)", "rzi": "trunc(a)", "rmi": "floor(a)", "rpi": "ceil(a)"}


def convert(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, f"rni rzi rmi rpi rn rz rm rp ftz sat f16 {TYPES}")
    of, to, words = words[-1], words[-2], set(words[:-2])
    result, operand = instruction.operands
    if "f16" in (of, to):
        return _half(body, instruction, to, of, words)
    given = f"using T = {CPP[to]}; const {CPP[of]} a = {body.flushed(body.value(operand, of), of, words)}; "
    whole = next((_TO_WHOLE[word] for word in words if word in _TO_WHOLE), "a")
    if of[0] == "f" and to[0] != "f":
        if whole == "a":
            return refuse(body, instruction)
        return given + body.store(result, f"whole<T>({whole})", to)
    if of[0] != "f" and to[0] != "f":
        return given + body.store(result, "clamped<T>(a)" if "sat" in words else "T(a)", to)
    code = whole
    for word, mode in ROUNDED.items():
        if word in words:
            code = f"rounded({mode}, [a_ = a] {{ const {CPP[of]} a = opaque(a_); return T({whole}); }})"
    code = body.flushed(f"T({code})", to, words)
    return given + body.store(result, f"saturated({code})" if "sat" in words else code, to)


def _half(body: Body, instruction: Instruction, to: str, of: str, words: set[str]) -> str:
    """16-bit numbers with a point are kept as bits, and computed with as float."""
    result, operand = instruction.operands
    if (to, of) == ("f16", "f32") and words <= {"rn"}:
        return body.store(result, f"sim_to_half({body.value(operand, 'f32')})", "b16")
    if (to, of) == ("f32", "f16") and words <= {"ftz"}:  # which has nothing to do: these are normal in float32
        return body.store(result, f"sim_of_half({body.value(operand, 'b16')})", "f32")
    return refuse(body, instruction)


_ATOMIC = {
    "add": "old + b", "min": "lesser(old, b)", "max": "greater(old, b)", "and": "old & b", "or": "old | b",
    "xor": "old ^ b", "exch": "b", "inc": "old >= b ? 0 : old + 1", "dec": "old == 0 || old > b ? b : old - 1",
    "cas": "",
}  # fmt: skip


def atomic(body: Body, instruction: Instruction) -> str:
    """atom, which gives back what was there before, and red, which does not."""
    words = words_of(body, instruction, f"global shared relaxed cta gpu sys {' '.join(_ATOMIC)} {TYPES}")
    type_, how = words[-1], next((word for word in words if word in _ATOMIC), None)
    keeps = instruction.opcode.startswith("atom.")
    address, *values = instruction.operands[1:] if keeps else instruction.operands
    if how is None or BYTES[type_] < 4 or len(values) != (2 if how == "cas" else 1):
        return refuse(body, instruction)
    if type_[0] == "f" and how not in ("add", "exch"):
        return refuse(body, instruction)
    cpp = CPP[type_]
    given = "".join(f"const {cpp} {letter} = {body.value(v, type_)}; " for letter, v in zip("bc", values))
    changed = _ATOMIC[how]
    if (how, type_) == ("add", "f32") and _space(words) != "shared":  # in shared memory they count
        changed = "flushed(flushed(old) + flushed(b))"
    change = f"[&]({cpp} old) SIM_UNCHECKED -> {cpp} {{ return {changed}; }}"
    pointer = f"({cpp}*)({body.address(address, _space(words), BYTES[type_])})"
    call = f"compared_and_set({pointer}, b, c, {HERE})" if how == "cas" else f"sim_change({pointer}, {HERE}, {change})"
    given += f"const {cpp} before = {call};"
    return given + (body.store(instruction.operands[0], "before", type_) if keeps else " (void)before;")
