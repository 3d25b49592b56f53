"""Instructions that jump, call, let threads meet, carry or compare; and the list of all that are not in the table."""

from __future__ import annotations

from .body import Body, identifier
from .memory import HERE, atomic, convert, convert_address, load, move, refuse, store, words_of
from .opcodes import CPP, find
from .parse import Instruction, Unsupported


# ---- where to go on --------------------------------------------------------------------------------------------------
def _branch(body: Body, instruction: Instruction) -> str:
    words_of(body, instruction, "uni")
    if instruction.operands[0] not in body.labels:
        raise Unsupported(body.line, f"there is no label {instruction.operands[0]}")
    return f"goto {identifier(instruction.operands[0])};"


def _return(body: Body, instruction: Instruction) -> str:
    words_of(body, instruction, "uni")
    if instruction.opcode == "exit" and not body.function.entry:
        raise Unsupported(body.line, "exit in a function that is called: it would end the whole thread")
    return body.ending()


def _call(body: Body, instruction: Instruction) -> str:
    words_of(body, instruction, "uni")
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
        return refuse(body, instruction)
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
    words = words_of(body, instruction, "sync warp cta aligned red popc and or u32 pred")
    if "warp" in words:
        return f'sim_exchange({body.value(instruction.operands[0], "b32")}, 0, "bar.warp.sync", {HERE});'
    number = instruction.operands[1 if "red" in words else 0]
    if number != "0":
        raise Unsupported(body.line, f"{instruction}: only barrier 0 is known, the one of __syncthreads()")
    if "red" in words:
        how = next((i for i, word in enumerate(("popc", "and", "or")) if word in words), None)
        if how is None or len(instruction.operands) != 3:
            return refuse(body, instruction)
        vote = f'sim_vote_block({body.value(instruction.operands[2], "pred")}, {how}, "bar.red", {HERE})'
        return body.store(instruction.operands[0], vote, words[-1])
    if "sync" not in words or len(instruction.operands) != 1:
        return refuse(body, instruction)
    return f'sim_syncthreads("bar.sync", {HERE});'


def _shuffle(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, "sync up down bfly idx b32")
    if words[0] != "sync":
        return refuse(body, instruction)
    to, exists = (*instruction.operands[0].split("|"), "_")[:2]
    given = ", ".join(body.value(operand, "b32") for operand in instruction.operands[1:])
    code = "bool there; "
    code += f'const uint32_t all = shuffled({words[1].upper()}, {given}, &there, "shfl.{words[1]}", {HERE}); '
    return code + body.store(to, "all", "b32") + body.store(exists, "there", "pred")


def _vote(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, "sync ballot any all b32 pred")
    to, of, mask = instruction.operands
    given = f"{body.value(mask, 'b32')}, {body.value(of, 'pred')}, {HERE}"
    if words == ["sync", "ballot", "b32"]:
        return body.store(to, f"__ballot_sync({given})", "b32")
    if words in (["sync", "any", "pred"], ["sync", "all", "pred"]):
        return body.store(to, f"__{words[1]}_sync({given})", "pred")
    return refuse(body, instruction)


def _match(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, "sync any all b32 b64")
    results, of, mask = instruction.operands
    to, agree = (*results.split("|"), "_")[:2]
    given = f"{body.value(mask, 'b32')}, {body.value(of, words[-1])}"
    if words[:2] == ["any", "sync"] and agree == "_":
        return body.store(to, f"__match_any_sync({given}, {HERE})", "b32")
    if words[:2] == ["all", "sync"]:
        code = f"int agree; const uint32_t all = __match_all_sync({given}, &agree, {HERE}); "
        return code + body.store(to, "all", "b32") + body.store(agree, "agree", "pred")
    return refuse(body, instruction)


def _reduce(body: Body, instruction: Instruction) -> str:
    words = words_of(body, instruction, "sync add min max and or xor u32 s32 b32")
    to, of, mask = instruction.operands
    kind = {"s32": "int", "u32": "unsigned", "b32": "unsigned"}[words[-1]]
    if words[0] != "sync" or len(words) != 3 or (words[1] in ("and", "or", "xor")) != (words[2] == "b32"):
        return refuse(body, instruction)
    call = f"__reduce_{words[1]}_sync({body.value(mask, 'b32')}, {kind}({body.value(of, words[-1])}), {HERE})"
    return body.store(to, call, words[-1])


def _active(body: Body, instruction: Instruction) -> str:
    return body.store(instruction.operands[0], "sim_activemask()", "b32")


def _fence(body: Body, instruction: Instruction) -> str:
    words_of(body, instruction, "gl cta gpu sys sc acq_rel")
    return "__threadfence();"


# ---- comparisons: more than one result, or a third operand ----------------------------------------------------------
def _compare(body: Body, instruction: Instruction) -> str:
    """setp: ``p``, or ``p|q`` with q the opposite; ``.and``, ``.or``, ``.xor`` with a further predicate."""
    parts = instruction.opcode.split(".")
    joined = parts.pop(2) if len(parts) > 3 and parts[2] in ("and", "or", "xor") else ""
    found = find(".".join(parts))
    results = instruction.operands[0].split("|")
    if found is None or len(instruction.operands) != (4 if joined else 3) or len(results) > 2:
        return refuse(body, instruction)
    row, type_, words = found
    a, b = (body.flushed(body.value(operand, type_), type_, words) for operand in instruction.operands[1:3])
    code = f"const {CPP[type_]} a = {a}, b = {b}; bool is = {row.code}, is_not = !is; "
    if joined:
        sign = {"and": "&", "or": "|", "xor": "^"}[joined]
        further = body.value(instruction.operands[3], "pred")
        code += f"const bool c = {further}; is = is {sign} c, is_not = is_not {sign} c; "
    return code + "".join(body.store(r, what, "pred") for r, what in zip(results, ("is", "is_not")))


SPECIAL_OPCODES = {
    "ld": load, "ldu": load, "st": store, "mov": move, "cvta": convert_address, "cvt": convert,
    "atom": atomic, "red": atomic, "membar": _fence, "fence": _fence,
    "bra": _branch, "ret": _return, "exit": _return, "call": _call, "trap": _trap,
    "bar": _barrier, "barrier": _barrier, "shfl": _shuffle, "vote": _vote, "match": _match, "redux": _reduce,
    "activemask": _active, "setp": _compare, "addc": _carry, "subc": _carry, "madc": _carry,
}  # fmt: skip
