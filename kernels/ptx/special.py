"""Instructions that do more than compute: they move data, convert it, jump, or let threads meet."""

from __future__ import annotations

from .body import ADDRESS, BITS, Body, identifier
from .opcodes import CPP, ROUNDED, find
from .parse import BYTES, Instruction, Unsupported, Variable

HERE = "__FILE__, __LINE__"


def _words(body: Body, instruction: Instruction, known: str) -> list[str]:
    """The opcode's words; one that is not known is refused."""
    words = instruction.opcode.split(".")[1:]
    for word in words:
        if word not in known.split():
            raise Unsupported(body.line, f"the instruction {instruction.opcode} is not known (.{word})")
    return words


def _refuse(body: Body, instruction: Instruction) -> str:
    raise Unsupported(body.line, f"the instruction {instruction} is not known")


TYPES = " ".join(CPP)
SPACES = ("global", "shared", "local", "const", "param")


# ---- moving data -----------------------------------------------------------------------------------------------------
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


def _load(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, f"global shared local const param nc volatile v2 v4 {TYPES}")
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


def _store(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, f"global shared local param volatile v2 v4 {TYPES}")
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


def _move(body: Body, instruction: Instruction) -> str:
    if instruction.opcode == "mov.pred":
        return body.store(instruction.operands[0], body.value(instruction.operands[1], "pred"), "pred")
    (type_,) = _words(body, instruction, TYPES)
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


def _convert_address(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, "to global shared local const param u64 u32")
    to, of = instruction.operands
    value = body.value(of, words[-1])
    if "shared" in words:
        value = f"{'generic_to_shared' if 'to' in words else 'shared_to_generic'}({value}, dynamic)"
    return body.store(to, value, words[-1])


_TO_WHOLE = {"rni": "nearbyint(a)", "rzi": "trunc(a)", "rmi": "floor(a)", "rpi": "ceil(a)"}


def _convert(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, f"rni rzi rmi rpi rn rz rm rp ftz sat f16 {TYPES}")
    of, to, words = words[-1], words[-2], set(words[:-2])
    result, operand = instruction.operands
    if "f16" in (of, to):
        return _convert_half(body, instruction, to, of, words)
    given = f"using T = {CPP[to]}; const {CPP[of]} a = {body.flushed(body.value(operand, of), of, words)}; "
    whole = next((_TO_WHOLE[word] for word in words if word in _TO_WHOLE), "a")
    if of[0] == "f" and to[0] != "f":
        if whole == "a":
            return _refuse(body, instruction)
        return given + body.store(result, f"whole<T>({whole})", to)
    if of[0] != "f" and to[0] != "f":
        return given + body.store(result, "clamped<T>(a)" if "sat" in words else "T(a)", to)
    code = whole
    for word, mode in ROUNDED.items():
        if word in words:
            code = f"rounded({mode}, [a_ = a] {{ const {CPP[of]} a = opaque(a_); return T({whole}); }})"
    code = body.flushed(f"T({code})", to, words)
    return given + body.store(result, f"saturated({code})" if "sat" in words else code, to)


def _convert_half(body: Body, instruction: Instruction, to: str, of: str, words: set[str]) -> str:
    """16-bit numbers with a point are kept as bits, and computed with as float."""
    result, operand = instruction.operands
    if (to, of) == ("f16", "f32") and words <= {"rn"}:
        return body.store(result, f"sim_to_half({body.value(operand, 'f32')})", "b16")
    if (to, of) == ("f32", "f16") and words <= {"ftz"}:  # which has nothing to do: these are normal in float32
        return body.store(result, f"sim_of_half({body.value(operand, 'b16')})", "f32")
    return _refuse(body, instruction)


_ATOMIC = {
    "add": "old + b", "min": "lesser(old, b)", "max": "greater(old, b)", "and": "old & b", "or": "old | b",
    "xor": "old ^ b", "exch": "b", "inc": "old >= b ? 0 : old + 1", "dec": "old == 0 || old > b ? b : old - 1",
    "cas": "old == b ? c : old",
}  # fmt: skip


def _atomic(body: Body, instruction: Instruction) -> str:
    """atom, which gives back what was there before, and red, which does not."""
    words = _words(body, instruction, f"global shared relaxed cta gpu sys {' '.join(_ATOMIC)} {TYPES}")
    type_, how = words[-1], next((word for word in words if word in _ATOMIC), None)
    keeps = instruction.opcode.startswith("atom.")
    address, *values = instruction.operands[1:] if keeps else instruction.operands
    if how is None or BYTES[type_] < 4 or len(values) != (2 if how == "cas" else 1):
        return _refuse(body, instruction)
    if type_[0] == "f" and how not in ("add", "exch"):
        return _refuse(body, instruction)
    cpp = CPP[type_]
    given = "".join(f"const {cpp} {letter} = {body.value(v, type_)}; " for letter, v in zip("bc", values))
    changed = _ATOMIC[how]
    if (how, type_) == ("add", "f32") and _space(words) != "shared":  # in shared memory they count
        changed = "flushed(flushed(old) + flushed(b))"
    change = f"[&]({cpp} old) SIM_UNCHECKED -> {cpp} {{ return {changed}; }}"
    pointer = f"({cpp}*)({body.address(address, _space(words), BYTES[type_])})"
    given += f"const {cpp} before = sim_change({pointer}, {HERE}, {change});"
    return given + (body.store(instruction.operands[0], "before", type_) if keeps else " (void)before;")


# ---- where to go on --------------------------------------------------------------------------------------------------
def _branch(body: Body, instruction: Instruction) -> str:
    _words(body, instruction, "uni")
    if instruction.operands[0] not in body.labels:
        raise Unsupported(body.line, f"there is no label {instruction.operands[0]}")
    return f"goto {identifier(instruction.operands[0])};"


def _return(body: Body, instruction: Instruction) -> str:
    _words(body, instruction, "uni")
    if instruction.opcode == "exit" and not body.function.entry:
        raise Unsupported(body.line, "exit in a function that is called: it would end the whole thread")
    return body.ending()


def _call(body: Body, instruction: Instruction) -> str:
    _words(body, instruction, "uni")
    operands = list(instruction.operands)
    result = operands.pop(0).strip("() ") if operands[0].startswith("(") else ""
    called = operands.pop(0)
    if called == "__assertfail":  # condition, file, line, function, bytes of a letter: as NVIDIA's assert() calls it
        condition = body.name(operands[0].strip("()").split(",")[0].strip())[0]
        return f"sim_assert_failed((const char*){condition}, {HERE});"
    if called not in body.functions:
        raise Unsupported(body.line, f"the call of {called}, which this text does not define")
    given = [part.strip() for part in operands[0].strip("()").split(",") if part.strip()] if operands else []
    call = f"{identifier(called)}({', '.join(body.name(g)[0] for g in given)});"
    return f"{body.name(result)[0]} = {call}" if result else call


def _trap(body: Body, instruction: Instruction) -> str:
    return f'sim_assert_failed("a trap was reached", {HERE});'


# ---- numbers of several registers ------------------------------------------------------------------------------------
def _carry(body: Body, instruction: Instruction) -> str:
    """add.cc, addc, sub.cc, subc, mad.lo.cc, madc.hi and their like: ``.cc`` leaves a carry, ``c`` adds it."""
    first, *words = instruction.opcode.split(".")
    type_ = words.pop()
    leaves, half = "cc" in words, next((word for word in words if word in ("lo", "hi")), "")
    takes, kind = first.endswith("c"), first.removesuffix("c")
    count = 4 if kind == "mad" else 3
    rest = set(words) - {"cc", half}
    known = type_ in ("u32", "s32", "b32", "u64", "s64", "b64") and bool(half) == (kind == "mad") and not rest
    if not known or len(instruction.operands) != count:
        return _refuse(body, instruction)
    unsigned = f"u{type_[1:]}"
    a, b, *c = (body.value(operand, unsigned) for operand in instruction.operands[1:])
    if kind == "mad":
        wide = "ptx_s128" if type_[0] == "s" else "ptx_u128"
        product = f"{wide}({body.value(instruction.operands[1], type_)}) * {body.value(instruction.operands[2], type_)}"
        a, b = f"{CPP[unsigned]}(({product}) >> {type_[1:] if half == 'hi' else 0})", c[0]
    how = "subtracted" if kind == "sub" else "added"
    code = f"bool left = false; const {CPP[unsigned]} all = {how}<{CPP[unsigned]}>({a}, {b}, "
    code += f"{'carry' if takes else 'false'}, left); "
    return code + body.store(instruction.operands[0], "all", unsigned) + (" carry = left;" if leaves else "")


# ---- threads together ------------------------------------------------------------------------------------------------
def _barrier(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, "sync warp cta aligned red popc and or u32 pred")
    if "warp" in words:
        return f'sim_exchange({body.value(instruction.operands[0], "b32")}, 0, "bar.warp.sync", {HERE});'
    number = instruction.operands[1 if "red" in words else 0]
    if number != "0":
        raise Unsupported(body.line, f"{instruction}: only barrier 0 is known, the one of __syncthreads()")
    if "red" in words:
        how = next((i for i, word in enumerate(("popc", "and", "or")) if word in words), None)
        if how is None or len(instruction.operands) != 3:
            return _refuse(body, instruction)
        vote = f'sim_vote_block({body.value(instruction.operands[2], "pred")}, {how}, "bar.red", {HERE})'
        return body.store(instruction.operands[0], vote, words[-1])
    if "sync" not in words or len(instruction.operands) != 1:
        return _refuse(body, instruction)
    return f'sim_syncthreads("bar.sync", {HERE});'


def _shuffle(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, "sync up down bfly idx b32")
    if words[0] != "sync":
        return _refuse(body, instruction)
    to, exists = (*instruction.operands[0].split("|"), "_")[:2]
    given = ", ".join(body.value(operand, "b32") for operand in instruction.operands[1:])
    code = "bool there; "
    code += f'const uint32_t all = shuffled({words[1].upper()}, {given}, &there, "shfl.{words[1]}", {HERE}); '
    return code + body.store(to, "all", "b32") + body.store(exists, "there", "pred")


def _vote(body: Body, instruction: Instruction) -> str:
    words = _words(body, instruction, "sync ballot any all b32 pred")
    to, of, mask = instruction.operands
    given = f"{body.value(mask, 'b32')}, {body.value(of, 'pred')}, {HERE}"
    if words == ["sync", "ballot", "b32"]:
        return body.store(to, f"__ballot_sync({given})", "b32")
    if words in (["sync", "any", "pred"], ["sync", "all", "pred"]):
        return body.store(to, f"__{words[1]}_sync({given})", "pred")
    return _refuse(body, instruction)


def _active(body: Body, instruction: Instruction) -> str:
    return body.store(instruction.operands[0], "sim_activemask()", "b32")


def _fence(body: Body, instruction: Instruction) -> str:
    return ""  # memory is sequentially consistent here


# ---- comparisons: more than one result, or a third operand ----------------------------------------------------------
def _compare(body: Body, instruction: Instruction) -> str:
    """setp: ``p``, or ``p|q`` with q the opposite; ``.and``, ``.or``, ``.xor`` with a further predicate."""
    parts = instruction.opcode.split(".")
    joined = parts.pop(2) if len(parts) > 3 and parts[2] in ("and", "or", "xor") else ""
    found = find(".".join(parts))
    results = instruction.operands[0].split("|")
    if found is None or len(instruction.operands) != (4 if joined else 3) or len(results) > 2:
        return _refuse(body, instruction)
    row, type_, words = found
    a, b = (body.flushed(body.value(operand, type_), type_, words) for operand in instruction.operands[1:3])
    code = f"const {CPP[type_]} a = {a}, b = {b}; bool is = {row.code}, is_not = !is; "
    if joined:
        sign = {"and": "&", "or": "|", "xor": "^"}[joined]
        further = body.value(instruction.operands[3], "pred")
        code += f"const bool c = {further}; is = is {sign} c, is_not = is_not {sign} c; "
    return code + "".join(body.store(r, what, "pred") for r, what in zip(results, ("is", "is_not")))


SPECIAL_OPCODES = {
    "ld": _load, "ldu": _load, "st": _store, "mov": _move, "cvta": _convert_address, "cvt": _convert,
    "atom": _atomic, "red": _atomic, "bra": _branch, "ret": _return, "exit": _return, "call": _call, "trap": _trap,
    "bar": _barrier, "barrier": _barrier, "shfl": _shuffle, "vote": _vote, "activemask": _active,
    "membar": _fence, "fence": _fence, "setp": _compare, "addc": _carry, "subc": _carry, "madc": _carry,
}  # fmt: skip
