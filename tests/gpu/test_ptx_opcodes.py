"""What every instruction computes, against Python's own whole numbers and NumPy, on numbers that are hard on it.

One text of PTX has a kernel for each instruction and type; a second model of each stands here, written from NVIDIA's
description of PTX.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.ptx import launching
from minicnn.kernels.ptx.opcodes import BITS, FLOATS, INTS, TABLE

pytestmark = [
    pytest.mark.no_compiler,
    pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not())),
]
RNG = np.random.default_rng(11)
SIGN = {"u": False, "b": False, "s": True}
DTYPE = {f"{k}{n}": np.dtype(f"{'i' if k == 's' else 'u'}{n // 8}") for k in "bus" for n in (16, 32, 64)}
DTYPE |= {"f16": np.dtype("f2"), "f32": np.dtype("f4"), "f64": np.dtype("f8"), "pred": np.dtype("u4")}


def width(type_: str) -> int:
    return 32 if type_ == "pred" else int(type_[1:])


def wrapped(value: int, type_: str) -> int:
    """The number that a register of this type holds."""
    value %= 2 ** width(type_)
    return value - 2 ** width(type_) if SIGN[type_[0]] and value >> (width(type_) - 1) else value


def unsigned(value: int, type_: str) -> int:
    return value % 2 ** width(type_)


def toward_zero(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def bits(value: int, type_: str) -> str:
    """Lowest first."""
    return f"{unsigned(value, type_):0{width(type_)}b}"[::-1]


def number(text: str) -> int:
    return int(text[::-1], 2)


def bfe(a: int, at: int, n: int, type_: str) -> int:
    all_bits, at, n = bits(a, type_), at & 255, n & 255
    top = width(type_) - 1
    sign = all_bits[min(at + n - 1, top)] if SIGN[type_[0]] and n else "0"
    return number("".join(all_bits[at + i] if i < n and at + i <= top else sign for i in range(top + 1)))


def bfi(a: int, b: int, at: int, n: int, type_: str) -> int:
    result = list(bits(b, type_))
    for i in range(n & 255):
        if (at & 255) + i < len(result):
            result[(at & 255) + i] = bits(a, type_)[i] if i < width(type_) else "0"
    return number("".join(result))


def bfind(a: int, type_: str) -> int:
    return unsigned(~a if a < 0 else a, type_).bit_length() - 1


def prmt(a: int, b: int, choice: int) -> int:
    both, result = (b << 32 | a).to_bytes(8, "little"), []
    for i in range(4):
        which = choice >> 4 * i & 15
        byte = both[which & 7]
        result.append((255 if byte & 128 else 0) if which & 8 else byte)
    return int.from_bytes(bytes(result), "little")


def lop3(a: int, b: int, c: int, table: int) -> int:
    rows = zip(*(bits(x, "u32") for x in (a, b, c)))
    return number("".join(str(table >> int("".join(row), 2) & 1) for row in rows))


WHOLE = {  # of whole numbers a, b, c, d and the type t
    "add": lambda a, b, t: a + b,
    "sub": lambda a, b, t: a - b,
    "mul.lo": lambda a, b, t: a * b,
    "mul.hi": lambda a, b, t: a * b >> width(t),
    "mul.wide": lambda a, b, t: a * b,
    "mad.lo": lambda a, b, c, t: a * b + c,
    "mad.hi": lambda a, b, c, t: (a * b >> width(t)) + c,
    "mad.wide": lambda a, b, c, t: a * b + c,
    "div": lambda a, b, t: toward_zero(a, b or 1),
    "rem": lambda a, b, t: a - toward_zero(a, b or 1) * (b or 1),
    "sad": lambda a, b, c, t: abs(a - b) + c,
    "abs": lambda a, t: abs(a),
    "neg": lambda a, t: -a,
    "min": lambda a, b, t: min(a, b),
    "max": lambda a, b, t: max(a, b),
    "and": lambda a, b, t: a & b,
    "or": lambda a, b, t: a | b,
    "xor": lambda a, b, t: a ^ b,
    "not": lambda a, t: ~a if t != "pred" else not a,
    "cnot": lambda a, t: a == 0,
    "lop3": lambda a, b, c, d, t: lop3(a, b, c, d & 255),
    "shl": lambda a, b, t: a << min(b, 64),
    "shr": lambda a, b, t: a >> min(b, 64),
    "shf.l.wrap": lambda a, b, c, t: (b << 32 | a) << (c & 31) >> 32,
    "shf.r.wrap": lambda a, b, c, t: (b << 32 | a) >> (c & 31),
    "shf.l.clamp": lambda a, b, c, t: (b << 32 | a) << min(c, 32) >> 32,
    "shf.r.clamp": lambda a, b, c, t: (b << 32 | a) >> min(c, 32),
    "bfi": bfi,
    "bfe": bfe,
    "bfind": bfind,
    "bfind.shiftamt": lambda a, t: width(t) - 1 - bfind(a, t) if bfind(a, t) >= 0 else -1,
    "popc": lambda a, t: bits(a, t).count("1"),
    "clz": lambda a, t: width(t) - unsigned(a, t).bit_length(),
    "brev": lambda a, t: number(bits(a, t)[::-1]),
    "prmt": lambda a, b, c, t: prmt(a, b, c),
    "mov": lambda a, t: a,
    "selp": lambda a, b, c, t: a if c else b,
    "slct": lambda a, b, c, t: a if c >= 0 else b,
}
COMPARED = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lo": lambda a, b: a < b, "ls": lambda a, b: a <= b,
    "hi": lambda a, b: a > b, "hs": lambda a, b: a >= b,
}  # fmt: skip


def upper(a: np.ndarray) -> np.ndarray:
    return (a.view("u8") >> np.uint64(32) << np.uint64(32)).view("f8")


def nan(a, b):
    return np.isnan(a) | np.isnan(b)


FLOATING = {  # of NumPy arrays
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "rcp": lambda a: 1 / a,
    "rcp.approx": lambda a: 1 / a,
    "rcp.approx.ftz": lambda a: upper(1 / upper(a)),
    "sqrt": np.sqrt,
    "sqrt.approx": np.sqrt,
    "rsqrt.approx": lambda a: 1 / np.sqrt(a),
    "rsqrt.approx.ftz": lambda a: upper(1 / np.sqrt(upper(a))),
    "min": np.fmin,
    "max": np.fmax,
    "min.NaN": np.minimum,
    "max.NaN": np.maximum,
    "abs": np.abs,
    "neg": np.negative,
    "copysign": lambda a, b: np.copysign(b, a),
    "testp.finite": np.isfinite,
    "testp.infinite": np.isinf,
    "testp.notanumber": np.isnan,
    "ex2.approx": np.exp2,
    "lg2.approx": np.log2,
    "sin.approx": np.sin,
    "cos.approx": np.cos,
    "tanh.approx": np.tanh,
    "selp": lambda a, b, c: np.where(c != 0, a, b),
    "slct": lambda a, b, c: np.where(c >= 0, a, b),
    "setp.num": lambda a, b: ~nan(a, b),
    "setp.nan": nan,
}
FLOATING |= {f"setp.{name}": lambda a, b, f=f: f(a, b) & ~nan(a, b) for name, f in COMPARED.items()}
FLOATING |= {f"setp.{name}u": lambda a, b, f=f: f(a, b) | nan(a, b) for name, f in COMPARED.items()}
ROUGH = {"ex2.approx", "lg2.approx", "sin.approx", "cos.approx", "tanh.approx"}  # the C library's, and NumPy's


def fused(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c, rounded once, from exact fractions."""
    from fractions import Fraction

    def one(x, y, z):
        if not all(map(math.isfinite, (x, y, z))):
            return x * y + z
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        return float(exact) if exact else x * y + z  # a zero's sign follows from the parts

    if a.dtype == np.float32:  # a float64 product of two of them is exact, and rarely is a sum too long
        return np.array([one(*map(float, v)) for v in zip(a, b, c)]).astype(np.float32)
    return np.array([one(*map(float, v)) for v in zip(a, b, c)])


COUNT = 160


def whole_numbers(type_: str) -> np.ndarray:
    """All kinds: small, large, powers of two and what lies beside them."""
    n = width(type_)
    near = [2**k + d for k in range(n) for d in (-1, 0)] + [0, -1, -2, 2**n - 1]
    random = [int(x) for x in RNG.integers(0, 2**63, COUNT)]
    chosen = [near[i] if i % 2 else random[i] >> int(RNG.integers(0, 63)) for i in RNG.permutation(COUNT) % len(near)]
    return np.array([wrapped(v, type_) for v in chosen], DTYPE[type_])


def numbers(type_: str) -> np.ndarray:
    """Of either sign, of all sizes but subnormal ones, zeros, infinities and NaN."""
    values = RNG.standard_normal(COUNT) * 2.0 ** RNG.integers(-20, 20, COUNT)
    values[:12] = [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, 1.5, 2.5, -2.5, 3]
    with np.errstate(over="ignore"):  # of 16 bits
        return RNG.permutation(values).astype(DTYPE[type_])


def drawn(type_: str) -> np.ndarray:
    if type_ == "pred":
        return RNG.integers(0, 2, COUNT).astype("u4")
    return numbers(type_) if type_[0] == "f" else whole_numbers(type_)


LETTER = {16: "h", 32: "r", 64: "d"}


def entry(name: str, opcode: str, takes: list[str], gives: str) -> str:
    """A kernel that applies an instruction to each element of its arrays."""
    lines = ["mov.u32 %r0, %tid.x;"]
    for i, type_ in enumerate([*takes, gives]):
        lines += [f"ld.param.u64 %d{i}, [{name}_{i}];", f"mad.wide.u32 %d{i}, %r0, {width(type_) // 8}, %d{i};"]
    operands = []
    for i, type_ in enumerate(takes):
        register = f"%{LETTER[width(type_)]}{10 + i}"
        lines.append(f"ld.global.b{width(type_)} {register}, [%d{i}];")
        if type_ == "pred":
            lines.append(f"setp.ne.u32 %p{i}, {register}, 0;")
            register = f"%p{i}"
        operands.append(register)
    result = "%p9" if gives == "pred" else f"%{LETTER[width(gives)]}9"
    lines.append(f"{opcode} {', '.join([result, *operands])};")
    if gives == "pred":
        lines.append("selp.u32 %r9, 1, 0, %p9;")
    lines += [f"st.global.b{width(gives)} [%d{len(takes)}], %{LETTER[width(gives)]}9;", "ret;"]
    parameters = ", ".join(f".param .u64 {name}_{i}" for i in range(len(takes) + 1))
    registers = ".reg .pred %p<10>; .reg .b16 %h<20>; .reg .b32 %r<20>; .reg .b64 %d<20>;"
    return f".visible .entry {name}({parameters}) {{ {registers}\n" + "\n".join(lines) + "\n}\n"


HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


def rows():
    """(name of a kernel, row, type, types of operands, type of the result) for the whole table."""
    for row in TABLE:
        for type_ in row.types.split():
            kinds = {"T": type_, "W": WIDER.get(type_, "")}
            takes = [kinds.get(kind, kind) for kind in row.takes.split()]
            name = f"{row.opcode}_{type_}".replace(".", "_")
            yield name, row.opcode, type_, takes, kinds.get(row.gives, row.gives)


@pytest.fixture(scope="module")
def text():
    """A kernel for every row and type."""
    return HEAD + "".join(entry(n, f"{opcode}.{t}", takes, gives) for n, opcode, t, takes, gives in rows())


def run(text: str, name: str, given: list[np.ndarray], gives: str) -> np.ndarray:
    result = np.zeros(COUNT, DTYPE[gives])
    launching.launch(text, name, 1, COUNT, [*given, result], check=False)
    return result


@pytest.mark.parametrize("opcode", list(dict.fromkeys(row.opcode for row in TABLE)))
def test_table(text, opcode):
    """Each row of the table in each of its types."""
    for name, code, type_, takes, gives in rows():
        if code != opcode:
            continue
        given = [drawn(kind) for kind in takes]
        if opcode == "lop3":
            given[3] %= 256
        if opcode in ("div", "rem") and type_[0] != "f":
            given[1][given[1] == 0] = 7  # dividing by zero is undefined
        if opcode in ("sin.approx", "cos.approx"):
            given[0] = np.clip(given[0], -1e4, 1e4)
        found = run(text, name, given, gives)
        with np.errstate(all="ignore"):
            if type_[0] == "f":
                model = fused if opcode in ("fma", "mad") else FLOATING[opcode]
                expected = model(*given).astype(DTYPE[gives])
                np.testing.assert_allclose(found, expected, rtol=3e-7 if opcode in ROUGH else 0, err_msg=name)
                continue
        model = WHOLE.get(opcode) or (lambda a, b, t: COMPARED[opcode.removeprefix("setp.")](a, b))
        result = "u32" if gives == "pred" else gives
        expected = [wrapped(int(model(*map(int, row), type_)), result) for row in zip(*given)]
        np.testing.assert_array_equal(found, np.array(expected, DTYPE[gives]), err_msg=name)


def test_signed_zeros():
    """-0 is less than 0, and fmin's order does not matter; a NaN's sign may change, and its being NaN not."""
    text = HEAD + entry("least", "min.f32", ["f32", "f32"], "f32") + entry("most", "max.f64", ["f64", "f64"], "f64")
    a, b = np.zeros(COUNT), np.full(COUNT, -0.0)
    for x, y in ((a, b), (b, a)):
        assert np.signbit(run(text, "least", [x.astype("f4"), y.astype("f4")], "f32")).all()
        assert not np.signbit(run(text, "most", [x, y], "f64")).any()


def test_flushing():
    """With .ftz float32 numbers below 2**-126 count as 0 of their sign, before and after; without, and in float64, they
    count: NVIDIA's functions rely on it."""
    lines = ["add.f32", "add.ftz.f32", "mul.ftz.f32", "setp.gt.ftz.f32", "setp.gt.f32", "min.ftz.f32", "neg.ftz.f32"]
    entries = [
        entry(code.replace(".", "_"), code, ["f32"] * (1 if "neg" in code else 2), "pred" if "setp" in code else "f32")
        for code in lines
    ]
    text = HEAD + "".join(entries) + entry("wide", "mul.f64", ["f64", "f64"], "f64")
    tiny, zero = np.full(COUNT, -1e-40, "f4"), np.zeros(COUNT, "f4")

    def first(code: str, *given) -> float:
        return run(text, code.replace(".", "_"), list(given), "pred" if "setp" in code else "f32")[0]

    assert first("add.f32", tiny, zero) == tiny[0]
    flushed = first("add.ftz.f32", tiny, tiny), first("neg.ftz.f32", -tiny), first("min.ftz.f32", tiny, tiny)
    assert flushed == (0, 0, 0) and np.signbit(flushed).all()
    small = np.full(COUNT, 2e-38, "f4")
    assert first("mul.ftz.f32", small, np.full(COUNT, -0.25, "f4")) == 0
    assert first("setp.gt.f32", -tiny, zero) == 1 and first("setp.gt.ftz.f32", -tiny, zero) == 0
    assert run(text, "wide", [np.full(COUNT, 1e-300), np.full(COUNT, 1e-20)], "f64")[0] == 1e-300 * 1e-20 > 0


@pytest.mark.parametrize("type_, scale", [("f32", 2.0**-24), ("f64", 2.0**-53)])
def test_rounding(type_, scale):
    """Down, up, toward zero and to the nearest: of 1 + 0.75 units in the last place, and its negative."""
    codes = {mode: f"fma.{mode}.{type_}" for mode in ("rn", "rz", "rm", "rp")}
    text = HEAD + "".join(entry(mode, code, [type_] * 3, type_) for mode, code in codes.items())
    one, small = np.ones(COUNT, DTYPE[type_]), np.full(COUNT, 1.5 * scale, DTYPE[type_])
    unit = 2 * scale
    for sign in (1, -1):
        got = {mode: float(run(text, mode, [sign * small, one, sign * one], type_)[0]) for mode in codes}
        low, high = sorted((sign * 1.0, sign * (1 + unit)))
        assert got == {"rn": sign * (1 + unit), "rz": sign * 1.0, "rm": low, "rp": high}


def test_saturation():
    """.sat cuts to 0 ... 1, and NaN to 0."""
    text = HEAD + entry("k", "add.ftz.sat.f32", ["f32", "f32"], "f32")
    a = np.resize(np.array([-1, 0.25, 7, np.nan, np.inf], "f4"), COUNT)
    np.testing.assert_array_equal(run(text, "k", [a, np.zeros(COUNT, "f4")], "f32")[:5], [0, 0.25, 1, 0, 1])


NEAREST = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@pytest.mark.parametrize("to", ["u16", "s16", "u32", "s32", "u64", "s64"])
@pytest.mark.parametrize("of", ["f32", "f64"])
def test_to_whole_numbers(of, to):
    """What does not fit becomes the nearest that does; NaN 0, or the highest bit if 64 bits are in play."""
    a = numbers(of) * 2.0 ** RNG.integers(-10, 60, COUNT)
    a = a.astype(DTYPE[of])
    text = HEAD + "".join(entry(mode, f"cvt.{mode}.{to}.{of}", [of], to) for mode in NEAREST)
    limits = np.iinfo(DTYPE[to])
    for mode, function in NEAREST.items():
        expected = []
        for value in function(a.astype("f8")):
            if np.isnan(value):
                expected.append(wrapped(2 ** (width(to) - 1), to) if "64" in of + to else 0)
            else:
                expected.append(int(min(max(value, -(2.0**70)), 2.0**70)))
        expected = [min(max(v, limits.min), limits.max) for v in expected]
        np.testing.assert_array_equal(run(text, mode, [a], to), np.array(expected, DTYPE[to]), err_msg=mode)


@pytest.mark.parametrize("of", ["u16", "s16", "u32", "s32", "u64", "s64"])
def test_from_whole_numbers(of):
    """To other whole numbers: cut off, extended by their sign, or saturated; to floats: rounded to the nearest."""
    a, others = whole_numbers(of), ["u16", "s16", "u32", "s32", "u64", "s64"]
    text = HEAD + "".join(entry(f"plain_{to}", f"cvt.{to}.{of}", [of], to) for to in others)
    text += "".join(entry(f"sat_{to}", f"cvt.sat.{to}.{of}", [of], to) for to in others)
    text += "".join(entry(f"plain_{to}", f"cvt.rn.{to}.{of}", [of], to) for to in ("f32", "f64"))
    for to in others:
        limits = np.iinfo(DTYPE[to])
        plain = np.array([wrapped(int(v), to) for v in a], DTYPE[to])
        np.testing.assert_array_equal(run(text, f"plain_{to}", [a], to), plain, err_msg=to)
        cut = np.array([min(max(int(v), limits.min), limits.max) for v in a], DTYPE[to])
        np.testing.assert_array_equal(run(text, f"sat_{to}", [a], to), cut, err_msg=to)
    for to in ("f32", "f64"):
        np.testing.assert_array_equal(run(text, f"plain_{to}", [a], to), a.astype(DTYPE[to]))


def test_between_floats():
    """float64 to float32 and back, to 16 bits and back, and to whole numbers that stay floats; directed rounding."""
    a, half = numbers("f64"), numbers("f16")
    pairs = {
        "narrow": ("cvt.rn.f32.f64", "f64", "f32"), "down": ("cvt.rm.f32.f64", "f64", "f32"),
        "wide": ("cvt.f64.f32", "f32", "f64"), "half": ("cvt.rn.f16.f32", "f32", "f16"),
        "whole": ("cvt.rmi.ftz.f32.f32", "f32", "f32"), "even": ("cvt.rni.f64.f64", "f64", "f64"),
        "from_half": ("cvt.f32.f16", "f16", "f32"),
    }  # fmt: skip
    text = HEAD + "".join(entry(name, code, [of], to) for name, (code, of, to) in pairs.items())
    single = a.astype("f4")
    np.testing.assert_array_equal(run(text, "narrow", [a], "f32"), single)
    below = np.where(single.astype("f8") > a, np.nextafter(single, np.float32(-np.inf)), single)
    np.testing.assert_array_equal(run(text, "down", [a], "f32"), below)
    np.testing.assert_array_equal(run(text, "wide", [single], "f64"), single.astype("f8"))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(text, "half", [single], "f16"), single.astype("f2"))
    np.testing.assert_array_equal(run(text, "from_half", [half], "f32"), half.astype("f4"))
    np.testing.assert_array_equal(run(text, "whole", [single], "f32"), np.floor(single))
    np.testing.assert_array_equal(run(text, "even", [a], "f64"), np.rint(a))


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_carries(kind):
    """Numbers of two registers: a sum, a difference, and a sum of products, low half first."""
    n = width(kind)
    r = LETTER[n]
    body = f"""
.visible .entry k(.param .u64 k_0, .param .u64 k_1) {{
.reg .b32 %r<40>; .reg .b64 %d<40>;
mov.u32 %r0, %tid.x;
ld.param.u64 %d0, [k_0]; ld.param.u64 %d1, [k_1];
mad.wide.u32 %d0, %r0, {n // 2}, %d0; mad.wide.u32 %d1, %r0, {n * 7 // 8}, %d1;
""" + "".join(f"ld.global.b{n} %{r}{10 + i}, [%d0+{i * n // 8}];\n" for i in range(4))
    body += f"""
add.cc.{kind} %{r}20, %{r}10, %{r}12; addc.{kind} %{r}21, %{r}11, %{r}13;
sub.cc.{kind} %{r}22, %{r}10, %{r}12; subc.{kind} %{r}23, %{r}11, %{r}13;
mad.lo.cc.{kind} %{r}24, %{r}10, %{r}12, %{r}13; madc.hi.cc.{kind} %{r}25, %{r}10, %{r}12, %{r}11;
addc.{kind} %{r}26, 0, 0;
""" + "".join(f"st.global.b{n} [%d1+{i * n // 8}], %{r}{20 + i};\n" for i in range(7))
    x = np.stack([whole_numbers(kind) for _ in range(4)], axis=1)  # (COUNT, 4)
    y = np.zeros((COUNT, 7), DTYPE[kind])
    launching.launch(HEAD + body + "ret; }", "k", 1, COUNT, [x, y], check=False)
    for (a, b, c, d), got in zip(x.tolist(), y.tolist()):
        low = [unsigned(v, kind) for v in (a, b, c, d)]
        total = low[0] + (low[1] << n) + low[2] + (low[3] << n)
        rest = low[0] + (low[1] << n) - low[2] - (low[3] << n)
        product = (a * c) % 2 ** (2 * n) + low[3] + (low[1] << n)
        expected = [total, total >> n, rest, rest >> n, product, product >> n, product >> 2 * n]
        assert got == [wrapped(v, kind) for v in expected], (a, b, c, d)


def test_models_cover_the_table():
    """No row is left out of the comparison."""
    for row in TABLE:
        for type_ in row.types.split():
            known = FLOATING if type_[0] == "f" else WHOLE
            assert row.opcode in known or row.opcode in ("fma", "mad") or row.opcode.startswith("setp."), row
    assert {row.types for row in TABLE} >= {INTS, FLOATS, BITS}
