"""Each function that CUDA has and C++ has not, against NumPy; and that C's functions take float as float."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.kernels import sim

f4, f8, i4, u4, i8, u8 = np.float32, np.float64, np.int32, np.uint32, np.int64, np.uint64
CTYPE = {f4: "float", f8: "double", i4: "int", u4: "unsigned", i8: "long long", u8: "unsigned long long"}
rng = np.random.default_rng(5)
POSITIVE = np.abs(rng.normal(size=64)) + 0.05
ANY = rng.normal(size=64) * 3
WORDS = np.r_[rng.integers(0, 2**32, 60, dtype=u4), np.array([0, 1, 2**31, 2**32 - 1], u4)]
LONGS = np.r_[rng.integers(0, 2**64, 60, dtype=u8), np.array([0, 1, 2**63, 2**64 - 1], u8)]
big = np.vectorize(int, otypes=[object])  # Python's integers, which have room for every product


def evaluate(expression: str, result: type, *arrays: np.ndarray, check: bool = False) -> np.ndarray:
    """The expression for all elements, computed by a kernel; ``a``, ``b``, ``c`` are the arrays."""
    names = "abc"[: len(arrays)]
    parameters = "".join(f"const {CTYPE[x.dtype.type]}* {n}_, " for n, x in zip(names, arrays))
    values = " ".join(f"{CTYPE[x.dtype.type]} {n} = {n}_[threadIdx.x];" for n, x in zip(names, arrays))
    text = (
        f'extern "C" __global__ void k({parameters}{CTYPE[result]}* y)\n'
        f"{{\n    {values}\n    y[threadIdx.x] = {expression};\n}}"
    )
    y = np.zeros(arrays[0].size, result)
    sim.launch(text, "k", 1, y.size, [*arrays, y], check=check)
    return y


def erf(x):
    from scipy.special import erf

    return erf(x)


FLOATING = [  # expression for float, for double, the same in NumPy, of positive numbers
    ("expf(a)", "exp(a)", np.exp),
    ("exp(a)", "exp(a)", np.exp),
    ("__expf(a)", "exp(a)", np.exp),
    ("exp2f(a)", "exp2(a)", np.exp2),
    ("log(a)", "log(a)", np.log),
    ("__logf(a)", "log(a)", np.log),
    ("__log2f(a)", "log2(a)", np.log2),
    ("__log10f(a)", "log10(a)", np.log10),
    ("log1p(a)", "log1p(a)", np.log1p),
    ("expm1f(a)", "expm1(a)", np.expm1),
    ("sqrt(a)", "sqrt(a)", np.sqrt),
    ("rsqrt(a)", "rsqrt(a)", lambda a: 1 / np.sqrt(a)),
    ("rsqrtf(a)", "__drcp_rn(__dsqrt_rn(a))", lambda a: 1 / np.sqrt(a)),
    ("__frcp_rn(a)", "1 / a", lambda a: 1 / a),
    ("cbrtf(a)", "cbrt(a)", np.cbrt),
    ("pow(a, 1.5f)", "pow(a, 1.5)", lambda a: a**1.5),
    ("__powf(a, 2.5f)", "pow(a, 2.5)", lambda a: a**2.5),
    ("tanh(a)", "tanh(a)", np.tanh),
    ("tanhf(-a)", "tanh(-a)", lambda a: np.tanh(-a)),
    ("__sinf(a)", "sin(a)", np.sin),
    ("__cosf(a)", "cos(a)", np.cos),
    ("erff(a)", "erf(a)", erf),
    ("fabsf(-a)", "fabs(-a)", np.abs),
    ("abs(-a)", "abs(-a)", np.abs),
    ("floor(a * 4)", "floor(a * 4)", lambda a: np.floor(a * 4)),
    ("ceilf(a * 4)", "ceil(a * 4)", lambda a: np.ceil(a * 4)),
    ("rintf(a * 4)", "rint(a * 4)", lambda a: np.rint(a * 4)),
    ("fmodf(a * 8, 3.f)", "fmod(a * 8, 3.)", lambda a: np.fmod(a * 8, 3)),
    ("fmaxf(a, 1.f)", "fmax(a, 1.)", lambda a: np.maximum(a, 1)),
    ("fminf(a, 1.f)", "fmin(a, 1.)", lambda a: np.minimum(a, 1)),
    ("max(a, 1.f)", "max(a, 1.)", lambda a: np.maximum(a, 1)),
    ("min(a, 1.f)", "min(1., a)", lambda a: np.minimum(a, 1)),
    ("__saturatef(a)", "min(a, 1.)", lambda a: np.clip(a, 0, 1)),
    ("__fdividef(a, 3.f)", "__ddiv_rn(a, 3.)", lambda a: a / 3),
    ("copysignf(a, -1.f)", "copysign(a, -1.)", lambda a: -a),
    ("normcdff(a) * 2 - 1", "normcdf(a) * 2 - 1", lambda a: erf(a / np.sqrt(2))),
]  # fmt: skip


@pytest.mark.parametrize(["single", "double", "numpy"], FLOATING, ids=[row[0] for row in FLOATING])
def test_floating(single, double, numpy):
    """To the last bits, in both types."""
    np.testing.assert_allclose(
        evaluate(single, f4, POSITIVE.astype(f4)), numpy(POSITIVE.astype(f4)), rtol=3e-6, atol=1e-6
    )
    np.testing.assert_allclose(evaluate(double, f8, POSITIVE), numpy(POSITIVE), rtol=1e-14)


WHOLE = [  # expression, type of the result, arguments, expected
    ("__popc(a)", i4, [WORDS], [n.bit_count() for n in WORDS.tolist()]),
    ("__popcll(a)", i4, [LONGS], [n.bit_count() for n in LONGS.tolist()]),
    ("__clz((int)a)", i4, [WORDS], [32 - n.bit_length() for n in WORDS.tolist()]),
    ("__clzll((long long)a)", i4, [LONGS], [64 - n.bit_length() for n in LONGS.tolist()]),
    ("__ffs((int)a)", i4, [WORDS], [(n & -n).bit_length() for n in WORDS.tolist()]),
    ("__ffsll((long long)a)", i4, [LONGS], [(n & -n).bit_length() for n in LONGS.tolist()]),
    ("__brev(a)", u4, [WORDS], [int(f"{n:032b}"[::-1], 2) for n in WORDS.tolist()]),
    ("__umulhi(a, b)", u4, [WORDS, WORDS[::-1].copy()], big(WORDS) * big(WORDS[::-1]) >> 32),
    ("__umul64hi(a, b)", u8, [LONGS, LONGS[::-1].copy()], big(LONGS) * big(LONGS[::-1]) >> 64),
    ("__mulhi(a, b)", i4, [WORDS.view(i4), WORDS[::-1].copy().view(i4)],
     big(WORDS.view(i4)) * big(WORDS[::-1].copy().view(i4)) >> 32),
    ("__mul64hi(a, b)", i8, [LONGS.view(i8), LONGS[::-1].copy().view(i8)],
     big(LONGS.view(i8)) * big(LONGS[::-1].copy().view(i8)) >> 64),
    ("__mul24(a, b)", i4, [np.array([3, -5, 2**22, 2**24 + 2], i4), np.array([-4, -5, 3, 7], i4)],
     [-12, 25, 3 * 2**22, 14]),
    ("__funnelshift_l(a, b, 8)", u4, [WORDS, WORDS[::-1].copy()],
     ((big(WORDS[::-1]) << 32 | big(WORDS)) << 8 >> 32) & 0xFFFFFFFF),
    ("__funnelshift_r(a, b, 8)", u4, [WORDS, WORDS[::-1].copy()],
     (big(WORDS[::-1]) << 32 | big(WORDS)) >> 8 & 0xFFFFFFFF),
    ("min(a, b)", i4, [np.array([-3, 5], i4), np.array([2, 4], i4)], [-3, 4]),
    ("max(a, b)", i8, [np.array([-3, 5], i8), np.array([2, 4], i4)], [2, 5]),
    ("abs(a)", i4, [np.array([-3, 5], i4)], [3, 5]),
    ("__float_as_int(a)", i4, [ANY.astype(f4)], ANY.astype(f4).view(i4)),
    ("__int_as_float(a)", f4, [ANY.astype(f4).view(i4)], ANY.astype(f4)),
    ("__float_as_uint(a)", u4, [ANY.astype(f4)], ANY.astype(f4).view(u4)),
    ("__uint_as_float(a)", f4, [ANY.astype(f4).view(u4)], ANY.astype(f4)),
    ("__double_as_longlong(a)", i8, [ANY], ANY.view(i8)),
    ("__longlong_as_double(a)", f8, [ANY.view(i8)], ANY),
    ("__int_as_float(0xff800000)", f4, [WORDS], np.full(64, -np.inf)),
    ("__longlong_as_double(0x7ff0000000000000ll)", f8, [WORDS], np.full(64, np.inf)),
    ("isnan(a)", i4, [np.array([np.nan, np.inf, 1, -np.inf], f4)], [1, 0, 0, 0]),
    ("isinf(a)", i4, [np.array([np.nan, np.inf, 1, -np.inf])], [0, 1, 0, 1]),
    ("isfinite(a)", i4, [np.array([np.nan, np.inf, 1, -np.inf], f4)], [0, 0, 1, 0]),
    ("signbit(a)", i4, [np.array([-0.0, 0.0, -1, 1], f4)], [1, 0, 1, 0]),
    ("fmaxf(a, b)", f4, [np.array([np.nan, 1], f4), np.array([2, np.nan], f4)], [2, 1]),
    ("max(a, b)", f4, [np.array([np.nan, 1], f4), np.array([2, np.nan], f4)], [2, 1]),
    ("min(a, b)", f8, [np.array([np.nan, 1]), np.array([2, np.nan])], [2, 1]),
    ("__float2int_rn(a)", i4, [np.array([2.5, 3.5, -2.5, 1e20, -1e20, np.nan], f4)],
     [2, 4, -2, 2**31 - 1, -(2**31), 0]),
    ("__float2int_rz(a)", i4, [np.array([2.7, -2.7], f4)], [2, -2]),
    ("__float2int_rd(a)", i4, [np.array([2.7, -2.3], f4)], [2, -3]),
    ("__float2int_ru(a)", i4, [np.array([2.2, -2.7], f4)], [3, -2]),
    ("__float2uint_rn(a)", u4, [np.array([2.7, -2.7, 1e20], f4)], [3, 0, 2**32 - 1]),
    ("__double2ll_rd(a)", i8, [np.array([-2.5, 1e300])], [-3, 2**63 - 1]),
    ("__int2float_rn(a)", f4, [np.array([2**24 + 1, -7], i4)], [2**24, -7]),
    ("__double2float_rn(a)", f4, [ANY], ANY.astype(f4)),
    ("__double2float_rd(a)", f4, [np.array([0.1, -0.1, 1e300, -1e300, 0.5])],
     [np.nextafter(f4(0.1), f4(0)), f4(-0.1), np.finfo(f4).max, -np.inf, 0.5]),
    ("__double2float_ru(a)", f4, [np.array([0.1, -0.1, 1e300, -1e300, np.nan])],
     [f4(0.1), np.nextafter(f4(-0.1), f4(0)), np.inf, -np.finfo(f4).max, np.nan]),
    ("__int2float_rz(a)", f4, [np.array([2**24 + 1, 2**24 + 3, -(2**24) - 3, -7], i4)],
     [2**24, 2**24 + 2, -(2**24) - 2, -7]),
    ("__int2float_rd(a)", f4, [np.array([2**24 + 3, -(2**24) - 1], i4)], [2**24 + 2, -(2**24) - 2]),
    ("__int2float_ru(a)", f4, [np.array([2**24 + 1, -(2**24) - 3], i4)], [2**24 + 2, -(2**24) - 2]),
    ("__uint2float_ru(a)", f4, [np.array([2**32 - 1, 5], u4)], [2**32, 5]),
    ("__uint2float_rn(a)", f4, [WORDS], WORDS.astype(f4)),
    ("__ll2float_rn(a)", f4, [LONGS.view(i8)], LONGS.view(i8).astype(f4)),
    ("__ull2float_rz(a)", f4, [np.array([2**64 - 1, 2**40], u8)], [2**64 - 2**40, 2**40]),
    ("__ull2float_rn(a)", f4, [LONGS], LONGS.astype(f4)),
    ("__ull2double_rn(a)", f8, [LONGS], LONGS.astype(f8)),
    ("__uint2double_rn(a)", f8, [WORDS], WORDS.astype(f8)),
    ("__float2ull_rz(a)", u8, [np.array([2.7, -1, 1e30], f4)], [2, 0, 2**64 - 1]),
    ("__double2int_ru(a)", i4, [np.array([2.2, -2.7, 1e10])], [3, -2, 2**31 - 1]),
    ("__double2hiint(a)", i4, [ANY], (ANY.view(i8) >> 32)),
    ("__hiloint2double(__double2hiint(a), __double2loint(a))", f8, [ANY], ANY),
    ("__byte_perm(a, b, 0x6240)", u4, [WORDS, WORDS[::-1].copy()],
     [sum(((y << 32 | x) >> 8 * at & 255) << 8 * i for i, at in enumerate((0, 4, 2, 6)))
      for x, y in zip(WORDS.tolist(), WORDS[::-1].tolist())]),
    ("__byte_perm(a, b, 0x0123)", u4, [WORDS, WORDS], WORDS.byteswap()),
    ("__brevll(a)", u8, [LONGS], [int(f"{n:064b}"[::-1], 2) for n in LONGS.tolist()]),
    ("__sad(a, b, 7u)", u4, [WORDS.view(i4), WORDS[::-1].copy().view(i4)],
     (abs(big(WORDS.view(i4)) - big(WORDS[::-1].copy().view(i4))) + 7) & 0xFFFFFFFF),
    ("__usad(a, b, 7u)", u4, [WORDS, WORDS[::-1].copy()], (abs(big(WORDS) - big(WORDS[::-1])) + 7) & 0xFFFFFFFF),
    ("__hadd(a, b)", i4, [np.array([2**31 - 1, -3, 4], i4), np.array([2**31 - 1, 0, 7], i4)], [2**31 - 1, -2, 5]),
    ("__rhadd(a, b)", i4, [np.array([2**31 - 1, -3, 4], i4), np.array([2**31 - 1, 0, 7], i4)], [2**31 - 1, -1, 6]),
    ("__uhadd(a, b)", u4, [WORDS, WORDS[::-1].copy()], (big(WORDS) + big(WORDS[::-1])) // 2),
    ("__umul24(a, b)", u4, [WORDS, WORDS[::-1].copy()],
     (big(WORDS) % 2**24) * (big(WORDS[::-1]) % 2**24) & 0xFFFFFFFF),
    ("umax(a, 5u) + umin(a, 5u)", u4, [np.array([3, 9], u4)], [8, 14]),
    ("llmin(a, -1)", i8, [np.array([-2, 2], i8)], [-2, -1]),
]  # fmt: skip


@pytest.mark.parametrize(["expression", "result", "arguments", "expected"], WHOLE, ids=[row[0] for row in WHOLE])
def test_exact(expression, result, arguments, expected):
    """Bit for bit."""
    got = evaluate(expression, result, *arguments, check=True)
    np.testing.assert_array_equal(got, np.array(expected, object if result == u8 else None).astype(result))


def test_functions_of_float_compute_in_float():
    """`exp(x)` of a float is a float, as in CUDA: its size tells."""
    for call in (
        "exp(a)",
        "sqrt(a)",
        "fabs(a)",
        "abs(a)",
        "pow(a, a)",
        "max(a, 1.f)",
        "rsqrt(a)",
        "fma(a, a, a)",
        "__ldg(a_)",
    ):
        assert evaluate(f"(int)sizeof({call})", i4, np.ones(1, f4)).tolist() == [4], call


def test_rounding_of_its_own():
    """__fmul_rn and __fadd_rn round each; fmaf once."""
    a, b, c = np.array([1 + 2**-12], f4), np.array([1 + 2**-12], f4), np.array([-(1 + 2**-11)], f4)
    assert evaluate("__fadd_rn(__fmul_rn(a, b), c)", f4, a, b, c) == [0]
    assert evaluate("fmaf(a, b, c)", f4, a, b, c) == [2**-24]
    assert evaluate("__fmaf_rn(a, b, c)", f4, a, b, c) == [2**-24]
    a, b, c = np.array([1 + 2**-30]), np.array([1 + 2**-30]), np.array([-(1 + 2**-29)])
    assert evaluate("__dadd_rn(__dmul_rn(a, b), c)", f8, a, b, c) == [0]


@pytest.mark.parametrize("mask", [0xFFFFFFFF, 0x0FF0F00F], ids=hex)
@pytest.mark.parametrize("check", [True, False])
def test_lanes_that_match_and_reductions(mask, check):
    """Who holds the same, all that is held, and sum, least, greatest of a warp: over the lanes of the mask alone."""
    text = """
extern "C" __global__ void k(const int* x, unsigned* y, unsigned mask) {
    const int i = threadIdx.x, v = x[i];
    if (!(mask >> i & 1)) return;
    int same = 5;
    y[i] = __match_any_sync(mask, v);
    y[i + 32] = __match_any_sync(mask, (long long)v * (1ll << 40));
    y[i + 64] = __match_all_sync(mask, v, &same) | (unsigned)same;
    y[i + 96] = __match_all_sync(mask, 2.5f, &same) & -same;
    y[i + 128] = __reduce_add_sync(mask, v);
    y[i + 160] = __reduce_min_sync(mask, v);
    y[i + 192] = __reduce_max_sync(mask, (unsigned)v);
    y[i + 224] = __reduce_and_sync(mask, (unsigned)v);
    y[i + 256] = __reduce_or_sync(mask, (unsigned)v);
    y[i + 288] = __reduce_xor_sync(mask, (unsigned)v);
    y[i + 320] = __reduce_max_sync(mask, v);
}"""
    x, y = rng.integers(-2, 3, 32).astype(i4), np.zeros((11, 32), u4)
    sim.launch(text, "k", 1, 32, [x, y, mask], check=check)
    inside = (mask >> np.arange(32) & 1).astype(bool)
    held, unsigned = x[inside], x[inside].view(u4)
    same = [sum(1 << lane for lane in range(32) if inside[lane] and x[lane] == v) for v in held]
    expected = [
        same, same, 0, mask, held.sum(), held.min(), unsigned.max(), np.bitwise_and.reduce(unsigned),
        np.bitwise_or.reduce(unsigned), np.bitwise_xor.reduce(unsigned), held.max(),
    ]  # fmt: skip
    for i, one in enumerate(expected):
        np.testing.assert_array_equal(y[i, inside], np.asarray(one).astype(i8) & 0xFFFFFFFF, err_msg=f"row {i}")
        assert not y[i, ~inside].any()


def test_a_match_that_a_lane_of_the_mask_does_not_reach():
    """The checker knows them as it knows the shuffles."""
    for call in ("__match_any_sync(~0u, 1)", "__reduce_add_sync(~0u, 1)"):
        text = f'extern "C" __global__ void k(unsigned* y) {{\n    if (threadIdx.x < 9) y[0] = {call};\n}}'
        with pytest.raises(sim.KernelFault, match=call.split("(")[0]) as caught:
            sim.launch(text, "k", 1, 32, [np.zeros(1, u4)])
        assert caught.value.line == 2


def test_the_clock_runs():
    """It counts on, so a loop may wait for it; what it counts is this processor's."""
    text = """
extern "C" __global__ void k(long long* y) {
    const long long before = clock64();
    while (clock64() - before < 100) {}
    const clock_t begin = clock();
    y[0] = clock64() - before;
    y[1] = (long)(clock() - begin) >= 0;
}"""
    for check in (True, False):
        y = np.zeros(2, i8)
        sim.launch(text, "k", 1, 1, [y], check=check)
        assert y[0] >= 100 and y[1] == 1


def test_atomics_return_what_was_there():
    """Each atomic's result and effect, one thread at a time, in every type that CUDA has it for."""
    operations = {
        "atomicAdd": (lambda old, v: old + v, "iuUfd"), "atomicSub": (lambda old, v: old - v, "iu"),
        "atomicExch": (lambda old, v: v, "iuUf"), "atomicMin": (min, "iuUL"), "atomicMax": (max, "iuUL"),
        "atomicAnd": (lambda old, v: old & v, "iuU"), "atomicOr": (lambda old, v: old | v, "iuU"),
        "atomicXor": (lambda old, v: old ^ v, "iuU"), "atomicInc": (lambda old, v: 0 if old >= v else old + 1, "u"),
        "atomicDec": (lambda old, v: v if old == 0 or old > v else old - 1, "u"),
    }  # fmt: skip
    types = {"i": i4, "u": u4, "U": u8, "L": i8, "f": f4, "d": f8}
    for name, (function, codes) in operations.items():
        for code in codes:
            ctype = CTYPE[types[code]]
            text = f'extern "C" __global__ void k({ctype}* y, {ctype} v) {{ y[1] = {name}(&y[0], v); }}'
            for old, v in ((12, 5), (5, 12), (0, 3)):
                y = np.array([old, 0], types[code])
                sim.launch(text, "k", 1, 1, [y, types[code](v)])
                expected = np.array([function(old, v)]).astype(types[code])
                assert y.tolist() == [expected[0], old], (name, ctype, old, v)


def test_compare_and_swap():
    """A maximum of floats by atomicCAS, the usual way, over many threads and blocks."""
    text = """
__device__ float largest(float* where, float v) {
    int* bits = (int*)where;
    int seen = *(volatile int*)bits == 0 ? 0 : atomicCAS(bits, 0, 0);
    while (__int_as_float(seen) < v) {
        int before = atomicCAS(bits, seen, __float_as_int(v));
        if (before == seen) break;
        seen = before;
    }
    return *where;
}
extern "C" __global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) largest(y, x[i]);
}"""
    x, y = np.abs(rng.normal(size=1000)).astype(f4), np.zeros(1, f4)
    sim.launch(text, "k", 8, 128, [x, y, 1000], check=False)
    assert y[0] == x.max()


def test_atomics_that_cuda_has_not():
    """`atomicAdd` on long long does not exist on a GPU, so it does not compile here."""
    for ctype, name in (
        ("long long", "atomicAdd"),
        ("float", "atomicMax"),
        ("double", "atomicExch"),
        ("int", "atomicInc"),
    ):
        with pytest.raises(sim.CompileError, match=rf"(?s)kernel\.cu:1:.*no matching function for call to.*{name}"):
            sim.launch(
                f'extern "C" __global__ void k({ctype}* y) {{ {name}(y, ({ctype})1); }}', "k", 1, 1, [np.zeros(1)]
            )


@pytest.mark.parametrize("dtype", [f4, f8, i4, u8], ids=["float", "double", "int", "unsigned long long"])
def test_shuffles_move_four_and_eight_bytes(dtype):
    """All four shuffles, in segments of every width, against NumPy."""
    text = f"""
using T = {CTYPE[dtype]};
extern "C" __global__ void k(const T* x, T* y, int width) {{
    T v = x[threadIdx.x];
    y[threadIdx.x] = __shfl_sync(0xffffffffu, v, 5, width);
    y[threadIdx.x + 64] = __shfl_up_sync(0xffffffffu, v, 3, width);
    y[threadIdx.x + 128] = __shfl_down_sync(0xffffffffu, v, 3, width);
    y[threadIdx.x + 192] = __shfl_xor_sync(0xffffffffu, v, 6, width);
}}"""
    x = rng.integers(0, 2**31, 64).astype(dtype) * dtype(3)
    lanes = np.arange(64)
    for width in (2, 4, 8, 16, 32):
        segment, place = lanes // width * width, lanes % width
        y = np.zeros((4, 64), dtype)
        sim.launch(text, "k", 1, 64, [x, y, width])
        np.testing.assert_array_equal(y[0], x[segment + 5 % width])
        np.testing.assert_array_equal(y[1], x[np.where(place >= 3, lanes - 3, lanes)])
        np.testing.assert_array_equal(y[2], x[np.where(place + 3 < width, lanes + 3, lanes)])
        np.testing.assert_array_equal(y[3], x[np.where((lanes ^ 6) < segment + width, lanes ^ 6, lanes)])
