"""What instructions compute: a table to read. NVIDIA's "PTX ISA" describes each under its name.

A row says: the opcode; the types that it is for; what its operands are; what its result is; the result in C++, of the
operands a, b, c, d; and further words that may stand in the opcode. ``T`` is the type at the opcode's end, ``W`` the
one twice as wide. ``.ftz``, ``.sat`` and a rounding other than to the nearest are added to any code that allows them.
What moves data is in :mod:`.memory`; what jumps, or lets threads meet, in :mod:`.special`.
"""

from __future__ import annotations

from dataclasses import dataclass

CPP = {
    "b8": "uint8_t", "u8": "uint8_t", "s8": "int8_t", "b16": "uint16_t", "u16": "uint16_t", "s16": "int16_t",
    "b32": "uint32_t", "u32": "uint32_t", "s32": "int32_t", "b64": "uint64_t", "u64": "uint64_t", "s64": "int64_t",
    "f16": "ptx_half", "f32": "float", "f64": "double", "pred": "bool",
}  # fmt: skip
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}

INTS = "u16 s16 u32 s32 u64 s64"
BITS = "b16 b32 b64"
FLOATS = "f32 f64"
ROUNDED = {"rz": "FE_TOWARDZERO", "rm": "FE_DOWNWARD", "rp": "FE_UPWARD"}  # not to the nearest
ROUND = "rn rz rm rp ftz"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    opcode: str
    types: str
    takes: str
    gives: str
    code: str
    words: str = ""


TABLE = [
    # numbers; whole ones wrap around
    Row("add", INTS, "T T", "T", "a + b"),
    Row("sub", INTS, "T T", "T", "a - b"),
    Row("mul.lo", INTS, "T T", "T", "a * b"),
    Row("mul.hi", "u16 s16 u32 s32", "T T", "T", "W(a) * W(b) >> BITS_OF(T)"),
    Row("mul.hi", "u64", "T T", "T", "ptx_u128(a) * b >> 64"),
    Row("mul.hi", "s64", "T T", "T", "ptx_s128(a) * b >> 64"),
    Row("mul.wide", "u16 s16 u32 s32", "T T", "W", "W(a) * W(b)"),
    Row("mad.lo", INTS, "T T T", "T", "a * b + c"),
    Row("mad.hi", "u16 s16 u32 s32", "T T T", "T", "T(W(a) * W(b) >> BITS_OF(T)) + c"),
    Row("mad.wide", "u16 s16 u32 s32", "T T W", "W", "W(a) * W(b) + c"),
    Row("div", INTS, "T T", "T", "quotient(a, b)"),
    Row("rem", INTS, "T T", "T", "remainder_of(a, b)"),
    Row("sad", INTS, "T T T", "T", "(a < b ? b - a : a - b) + c"),
    Row("abs", "s16 s32 s64", "T", "T", "a < 0 ? T(0) - a : a"),
    Row("neg", "s16 s32 s64", "T", "T", "T(0) - a"),
    Row("min", INTS, "T T", "T", "lesser(a, b)"),
    Row("max", INTS, "T T", "T", "greater(a, b)"),
    Row("add", FLOATS, "T T", "T", "a + b", f"{ROUND} sat"),
    Row("sub", FLOATS, "T T", "T", "a - b", f"{ROUND} sat"),
    Row("mul", FLOATS, "T T", "T", "a * b", f"{ROUND} sat"),
    Row("fma", FLOATS, "T T T", "T", "fused(a, b, c)", f"{ROUND} sat"),
    Row("mad", FLOATS, "T T T", "T", "fused(a, b, c)", f"{ROUND} sat"),
    Row("div", FLOATS, "T T", "T", "a / b", f"{ROUND} full approx"),
    Row("rcp", FLOATS, "T", "T", "1 / a", ROUND),
    Row("sqrt", FLOATS, "T", "T", "sqrt(a)", ROUND),
    Row("min", FLOATS, "T T", "T", "lesser(a, b)", "ftz"),
    Row("max", FLOATS, "T T", "T", "greater(a, b)", "ftz"),
    Row("min.NaN", FLOATS, "T T", "T", "a != a || b != b ? a + b : lesser(a, b)", "ftz"),
    Row("max.NaN", FLOATS, "T T", "T", "a != a || b != b ? a + b : greater(a, b)", "ftz"),
    Row("abs", FLOATS, "T", "T", "copysign(a, T(1))", "ftz"),
    Row("neg", FLOATS, "T", "T", "-a", "ftz"),
    Row("abs", "f16", "T", "T", "get<T>(uint16_t(a.bits & 0x7fff))"),
    Row("neg", "f16", "T", "T", "get<T>(uint16_t(a.bits ^ 0x8000))"),
    Row("add", "f16", "T T", "T", "a + b", "rn"),
    Row("sub", "f16", "T T", "T", "a - b", "rn"),
    Row("mul", "f16", "T T", "T", "a * b", "rn"),
    Row("copysign", FLOATS, "T T", "T", "copysign(b, a)"),
    Row("testp.finite", FLOATS, "T", "pred", "isfinite(a)"),
    Row("testp.infinite", FLOATS, "T", "pred", "isinf(a)"),
    Row("testp.notanumber", FLOATS, "T", "pred", "a != a"),
    # approximations: a GPU's are off by a few units in the last place, these are not
    Row("rcp.approx", "f32", "T", "T", "1 / a", "ftz"),
    Row("rcp.approx.ftz", "f64", "T", "T", "flushed(upper_half(1 / flushed(upper_half(a))))"),
    Row("sqrt.approx", "f32", "T", "T", "sqrtf(a)", "ftz"),
    Row("rsqrt.approx", FLOATS, "T", "T", "1 / sqrt(a)", "ftz"),
    Row("rsqrt.approx.ftz", "f64", "T", "T", "upper_half(1 / sqrt(flushed(upper_half(a))))"),
    Row("ex2.approx", "f32", "T", "T", "exp2f(a)", "ftz"),
    Row("lg2.approx", "f32", "T", "T", "log2f(a)", "ftz"),
    Row("sin.approx", "f32", "T", "T", "sinf(a)", "ftz"),
    Row("cos.approx", "f32", "T", "T", "cosf(a)", "ftz"),
    Row("tanh.approx", "f32", "T", "T", "tanhf(a)"),
    # bits
    Row("and", f"pred {BITS}", "T T", "T", "a & b"),
    Row("or", f"pred {BITS}", "T T", "T", "a | b"),
    Row("xor", f"pred {BITS}", "T T", "T", "a ^ b"),
    Row("not", "pred", "T", "T", "!a"),
    Row("not", BITS, "T", "T", "~a"),
    Row("cnot", BITS, "T", "T", "a == 0"),
    Row("lop3", "b32", "T T T u32", "T", "any_function(a, b, c, d)"),
    Row("shl", BITS, "T u32", "T", "left(a, b)"),
    Row("shr", f"{BITS} {INTS}", "T u32", "T", "right(a, b)"),
    Row("shf.l.wrap", "b32", "T T u32", "T", "((uint64_t(b) << 32 | a) << (c & 31)) >> 32"),
    Row("shf.r.wrap", "b32", "T T u32", "T", "(uint64_t(b) << 32 | a) >> (c & 31)"),
    Row("shf.l.clamp", "b32", "T T u32", "T", "c > 31 ? a : ((uint64_t(b) << 32 | a) << c) >> 32"),
    Row("shf.r.clamp", "b32", "T T u32", "T", "c > 31 ? b : (uint64_t(b) << 32 | a) >> c"),
    Row("bfi", "b32 b64", "T T u32 u32", "T", "inserted(a, b, c, d)"),
    Row("bfe", "u32 s32 u64 s64", "T u32 u32", "T", "extracted(a, b, c)"),
    Row("bfind", "u32 s32 u64 s64", "T", "u32", "highest_bit(a)"),
    Row("bfind.shiftamt", "u32 s32 u64 s64", "T", "u32", "highest_bit(a) + 1 ? BITS_OF(T) - 1 - highest_bit(a) : ~0u"),
    Row("popc", "b32 b64", "T", "u32", "__builtin_popcountll(a)"),
    Row("clz", "b32 b64", "T", "u32", "a ? __builtin_clzll(a) - (64 - BITS_OF(T)) : BITS_OF(T)"),
    Row("brev", "b32", "T", "T", "__brev(a)"),
    Row("brev", "b64", "T", "T", "uint64_t(__brev(uint32_t(a))) << 32 | __brev(uint32_t(a >> 32))"),
    Row("prmt", "b32", "T T u32", "T", "permuted(a, b, c)"),
    # choices
    Row("mov", "pred", "T", "T", "a"),
    Row("selp", f"{BITS} {INTS} {FLOATS}", "T T pred", "T", "c ? a : b"),
    Row("slct", f"{BITS} {INTS} {FLOATS}", "T T s32", "T", "c >= 0 ? a : b"),
]  # fmt: skip

#: setp, which compares: also "and lt in u" of numbers of which one is NaN
COMPARED = {"eq": "a == b", "ne": "a != b", "lt": "a < b", "le": "a <= b", "gt": "a > b", "ge": "a >= b"}
UNSIGNED = {"lo": "a < b", "ls": "a <= b", "hi": "a > b", "hs": "a >= b"}
UNORDERED = {f"{name}u": f"a != a || b != b || {code}" for name, code in COMPARED.items()}
NUMBERS = {"num": "a == a && b == b", "nan": "a != a || b != b"}
for _name, _code in (COMPARED | UNSIGNED).items():
    TABLE.append(Row(f"setp.{_name}", f"{INTS} {BITS}", "T T", "pred", _code))
for _name, _code in (COMPARED | {"ne": "a < b || a > b"} | UNORDERED | NUMBERS).items():
    TABLE.append(Row(f"setp.{_name}", FLOATS, "T T", "pred", _code, "ftz"))
    TABLE.append(Row(f"setp.{_name}", "f16", "T T", "pred", _code))

_ROWS = {(row.opcode, type_): row for row in TABLE for type_ in row.types.split()}
_NAMES = {row.opcode for row in TABLE}


def find(opcode: str) -> tuple[Row, str, frozenset[str]] | None:
    """The row for an opcode, its type, and its further words; None if the table has none, or a word is not known.

    >>> row, type_, words = find("add.rn.ftz.f32")
    >>> row.code, type_, sorted(words)
    ('a + b', 'f32', ['ftz', 'rn'])
    >>> find("add.rn.ftz.f16")
    """
    *parts, type_ = opcode.split(".")
    for length in range(len(parts), 0, -1):  # the longest name that the table has
        row = _ROWS.get((".".join(parts[:length]), type_))
        words = frozenset(parts[length:])
        if row and words <= set(row.words.split()):
            return row, type_, words
    return None
