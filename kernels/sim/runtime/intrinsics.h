// intrinsics.h - functions that CUDA has and C++ has not. The fast ones (__expf ...) are exact here: a GPU's are not.
#pragma once

using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

template <class T> static inline __attribute__((always_inline)) T __ldg(const T* p) { return *p; }
template <class A, class B> SIM_FN std::common_type_t<A, B> min(A a, B b)
{
    using T = std::common_type_t<A, B>;
    return T(b) < T(a) || T(a) != T(a) ? T(b) : T(a);  // of a number and a NaN, the number
}
template <class A, class B> SIM_FN std::common_type_t<A, B> max(A a, B b)
{
    using T = std::common_type_t<A, B>;
    return T(a) < T(b) || T(a) != T(a) ? T(b) : T(a);
}
SIM_FN unsigned umin(unsigned a, unsigned b) { return min(a, b); }
SIM_FN unsigned umax(unsigned a, unsigned b) { return max(a, b); }
SIM_FN long long llmin(long long a, long long b) { return min(a, b); }
SIM_FN long long llmax(long long a, long long b) { return max(a, b); }
SIM_FN sim_ull ullmin(sim_ull a, sim_ull b) { return min(a, b); }
SIM_FN sim_ull ullmax(sim_ull a, sim_ull b) { return max(a, b); }

// Numbers -------------------------------------------------------------------------------------------------------------
#define __expf sim_expf  // the C library has functions of these names
#define __exp10f sim_exp10f
#define __logf sim_logf
#define __log2f sim_log2f
#define __log10f sim_log10f
#define __powf sim_powf
#define __sinf sim_sinf
#define __cosf sim_cosf
#define __tanf sim_tanf
#define __sincosf sim_sincosf_fast
SIM_FN float sim_expf(float x) { return expf(x); }
SIM_FN float sim_exp10f(float x) { return powf(10, x); }
SIM_FN float sim_logf(float x) { return logf(x); }
SIM_FN float sim_log2f(float x) { return log2f(x); }
SIM_FN float sim_log10f(float x) { return log10f(x); }
SIM_FN float sim_powf(float x, float y) { return powf(x, y); }
SIM_FN float sim_sinf(float x) { return sinf(x); }
SIM_FN float sim_cosf(float x) { return cosf(x); }
SIM_FN float sim_tanf(float x) { return tanf(x); }
SIM_FN void sim_sincosf_fast(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
SIM_FN float __fdividef(float a, float b) { return a / b; }
SIM_FN float fdividef(float a, float b) { return a / b; }
SIM_FN float __frcp_rn(float a) { return 1.f / a; }
SIM_FN double __drcp_rn(double a) { return 1. / a; }
SIM_FN float __fsqrt_rn(float a) { return sqrtf(a); }
SIM_FN float __frsqrt_rn(float a) { return float(1. / sqrt(double(a))); }
SIM_FN double __dsqrt_rn(double a) { return sqrt(a); }
SIM_FN float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
SIM_FN double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
// Each rounds by itself: no product is taken into the sum that follows (the compiler would, and so would nvcc).
template <class T> SIM_FN T sim_rounded(T value)
{
    asm volatile("" : "+m"(value));
    return value;
}
SIM_FN float __fadd_rn(float a, float b) { return sim_rounded(a + b); }
SIM_FN float __fsub_rn(float a, float b) { return sim_rounded(a - b); }
SIM_FN float __fmul_rn(float a, float b) { return sim_rounded(a * b); }
SIM_FN float __fdiv_rn(float a, float b) { return a / b; }
SIM_FN double __dadd_rn(double a, double b) { return sim_rounded(a + b); }
SIM_FN double __dsub_rn(double a, double b) { return sim_rounded(a - b); }
SIM_FN double __dmul_rn(double a, double b) { return sim_rounded(a * b); }
SIM_FN double __ddiv_rn(double a, double b) { return a / b; }
SIM_FN float __saturatef(float a) { return a > 0 ? (a < 1 ? a : 1) : 0; }  // NaN becomes 0, as on a GPU
SIM_FN float rsqrtf(float a) { return 1.f / sqrtf(a); }
SIM_FN float rsqrt(float a) { return 1.f / sqrtf(a); }
SIM_FN double rsqrt(double a) { return 1. / sqrt(a); }
SIM_FN float rcbrtf(float a) { return 1.f / cbrtf(a); }
SIM_FN double rcbrt(double a) { return 1. / cbrt(a); }
SIM_FN float normcdff(float a) { return 0.5f * erfcf(-a * 0.70710678f); }
SIM_FN double normcdf(double a) { return 0.5 * erfc(-a * 0.70710678118654752); }

// Numbers as bits, and back -------------------------------------------------------------------------------------------
SIM_FN int __float_as_int(float f) { return sim_from_bits<int>(sim_to_bits(f)); }
SIM_FN float __int_as_float(int i) { return sim_from_bits<float>(sim_to_bits(i)); }
SIM_FN unsigned __float_as_uint(float f) { return sim_from_bits<unsigned>(sim_to_bits(f)); }
SIM_FN float __uint_as_float(unsigned i) { return sim_from_bits<float>(sim_to_bits(i)); }
SIM_FN long long __double_as_longlong(double d) { return sim_from_bits<long long>(sim_to_bits(d)); }
SIM_FN double __longlong_as_double(long long i) { return sim_from_bits<double>(sim_to_bits(i)); }
SIM_FN int __double2hiint(double d) { return int(sim_to_bits(d) >> 32); }
SIM_FN int __double2loint(double d) { return int(sim_to_bits(d)); }
SIM_FN double __hiloint2double(int high, int low)
{
    return sim_from_bits<double>(uint64_t(high) << 32 | unsigned(low));
}

// Whole numbers -------------------------------------------------------------------------------------------------------
SIM_FN int __popc(unsigned x) { return __builtin_popcount(x); }
SIM_FN int __popcll(sim_ull x) { return __builtin_popcountll(x); }
SIM_FN int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
SIM_FN int __clzll(long long x) { return x ? __builtin_clzll(sim_ull(x)) : 64; }
SIM_FN int __ffs(int x) { return __builtin_ffs(x); }
SIM_FN int __ffsll(long long x) { return __builtin_ffsll(x); }
SIM_FN unsigned __brev(unsigned x)
{
    unsigned turned = 0;
    for (int i = 0; i < 32; ++i) turned |= (x >> i & 1) << (31 - i);
    return turned;
}
SIM_FN sim_ull __brevll(sim_ull x) { return sim_ull(__brev(unsigned(x))) << 32 | __brev(unsigned(x >> 32)); }
// Of the eight bytes of x (0 to 3) and y (4 to 7), the four that the last four hexadecimal digits name
SIM_FN unsigned __byte_perm(unsigned x, unsigned y, unsigned which)
{
    const uint64_t both = uint64_t(y) << 32 | x;
    unsigned made = 0;
    for (int i = 0; i < 4; ++i) made |= unsigned(both >> 8 * (which >> 4 * i & 7) & 0xff) << 8 * i;
    return made;
}
SIM_FN unsigned __sad(int a, int b, unsigned sum) { return sum + (a < b ? unsigned(b) - a : unsigned(a) - b); }
SIM_FN unsigned __usad(unsigned a, unsigned b, unsigned sum) { return sum + (a < b ? b - a : a - b); }
SIM_FN int __hadd(int a, int b) { return int(((long long)a + b) >> 1); }  // half of the sum; for halves see half.h
SIM_FN int __rhadd(int a, int b) { return int(((long long)a + b + 1) >> 1); }
SIM_FN unsigned __uhadd(unsigned a, unsigned b) { return unsigned((sim_ull(a) + b) >> 1); }
SIM_FN unsigned __urhadd(unsigned a, unsigned b) { return unsigned((sim_ull(a) + b + 1) >> 1); }
SIM_FN unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
SIM_FN int sim_24(int a) { return int(unsigned(a) << 8) >> 8; }
SIM_FN int __mul24(int a, int b) { return int(unsigned(sim_24(a)) * unsigned(sim_24(b))); }
SIM_FN int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
SIM_FN unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
SIM_FN long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
SIM_FN sim_ull __umul64hi(sim_ull a, sim_ull b) { return sim_ull((unsigned __int128)a * b >> 64); }
SIM_FN unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by)
{
    return unsigned(((uint64_t(high) << 32 | low) << (by & 31)) >> 32);
}
SIM_FN unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by)
{
    return unsigned((uint64_t(high) << 32 | low) >> (by & 31));
}

// Rounding to whole numbers: what does not fit becomes the nearest number that does, and NaN becomes 0, as on a GPU.
template <class To, class From> SIM_FN To sim_whole(From rounded)
{
    const To least = std::is_signed_v<To> ? To(To(1) << (8 * sizeof(To) - 1)) : To(0), most = To(~least);
    if (rounded != rounded) return 0;
    if (rounded <= From(least)) return least;
    return rounded >= From(most) ? most : To(rounded);
}
#define SIM_WHOLE(from, From, to, To)                                                                                  \
    SIM_FN To __##from##2##to##_rn(From f) { return sim_whole<To>(nearbyint(f)); }                                     \
    SIM_FN To __##from##2##to##_rz(From f) { return sim_whole<To>(trunc(f)); }                                         \
    SIM_FN To __##from##2##to##_rd(From f) { return sim_whole<To>(floor(f)); }                                         \
    SIM_FN To __##from##2##to##_ru(From f) { return sim_whole<To>(ceil(f)); }
SIM_WHOLE(float, float, int, int) SIM_WHOLE(float, float, uint, unsigned)
SIM_WHOLE(float, float, ll, long long) SIM_WHOLE(float, float, ull, sim_ull)
SIM_WHOLE(double, double, int, int) SIM_WHOLE(double, double, uint, unsigned)
SIM_WHOLE(double, double, ll, long long) SIM_WHOLE(double, double, ull, sim_ull)

// To float: to the nearest (rn), towards 0 (rz), down (rd), up (ru). Whole numbers are compared as such.
template <class From> SIM_FN bool sim_below(float rounded, From x)
{
    if constexpr (std::is_integral_v<From>) return __int128(rounded) < __int128(x);
    else return double(rounded) < double(x);
}
template <class From> SIM_FN bool sim_above(float rounded, From x)
{
    if constexpr (std::is_integral_v<From>) return __int128(rounded) > __int128(x);
    else return double(rounded) > double(x);
}
template <class From> SIM_FN float sim_float_down(From x)
{
    return sim_above(float(x), x) ? nextafterf(float(x), -__builtin_inff()) : float(x);
}
template <class From> SIM_FN float sim_float_up(From x)
{
    return sim_below(float(x), x) ? nextafterf(float(x), __builtin_inff()) : float(x);
}
#define SIM_TO_FLOAT(from, From)                                                                                       \
    SIM_FN float __##from##2float_rn(From x) { return float(x); }                                                      \
    SIM_FN float __##from##2float_rz(From x) { return x > 0 ? sim_float_down(x) : sim_float_up(x); }                   \
    SIM_FN float __##from##2float_rd(From x) { return sim_float_down(x); }                                             \
    SIM_FN float __##from##2float_ru(From x) { return sim_float_up(x); }
SIM_TO_FLOAT(int, int) SIM_TO_FLOAT(uint, unsigned) SIM_TO_FLOAT(ll, long long) SIM_TO_FLOAT(ull, sim_ull)
SIM_TO_FLOAT(double, double)
SIM_FN double __int2double_rn(int i) { return double(i); }
SIM_FN double __uint2double_rn(unsigned i) { return double(i); }
SIM_FN double __ll2double_rn(long long i) { return double(i); }
SIM_FN double __ull2double_rn(sim_ull i) { return double(i); }

// A counter that runs while the program does: of this processor, so differences say nothing about a GPU.
SIM_FN long long clock64()
{
#if defined(__x86_64__)
    return (long long)__builtin_ia32_rdtsc();
#else
    long long ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}
#define clock sim_clock  // the C library has one that measures seconds
SIM_FN long clock() { return long(clock64()); }

SIM_FN void __trap(SIM_HERE) { sim_assert_failed("__trap() was reached", file_, line_); }
#define assert(condition) ((condition) ? (void)0 : sim_assert_failed(#condition, __FILE__, __LINE__))
