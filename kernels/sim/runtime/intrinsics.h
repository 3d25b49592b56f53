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
    return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B> SIM_FN std::common_type_t<A, B> max(A a, B b)
{
    using T = std::common_type_t<A, B>;
    return T(a) < T(b) ? T(b) : T(a);
}

#define __expf sim_expf  // the C library has functions of these names
#define __exp10f sim_exp10f
#define __logf sim_logf
#define __log2f log2f
#define __powf sim_powf
#define __sinf sinf
#define __cosf cosf
SIM_FN float sim_expf(float x) { return expf(x); }
SIM_FN float sim_exp10f(float x) { return powf(10, x); }
SIM_FN float sim_logf(float x) { return logf(x); }
SIM_FN float sim_powf(float x, float y) { return powf(x, y); }
SIM_FN float __fdividef(float a, float b) { return a / b; }
SIM_FN float __frcp_rn(float a) { return 1.f / a; }
SIM_FN float __fsqrt_rn(float a) { return sqrtf(a); }
SIM_FN float __fadd_rn(float a, float b) { return a + b; }
SIM_FN float __fmul_rn(float a, float b) { return a * b; }
SIM_FN double __dadd_rn(double a, double b) { return a + b; }
SIM_FN double __dmul_rn(double a, double b) { return a * b; }
SIM_FN float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
SIM_FN float __saturatef(float a) { return a > 0 ? (a < 1 ? a : 1) : 0; }  // NaN becomes 0, as on a GPU
SIM_FN float rsqrtf(float a) { return 1.f / sqrtf(a); }
SIM_FN double rsqrt(double a) { return 1. / sqrt(a); }

SIM_FN int __float_as_int(float f) { return sim_from_bits<int>(sim_to_bits(f)); }
SIM_FN float __int_as_float(int i) { return sim_from_bits<float>(sim_to_bits(i)); }
SIM_FN unsigned __float_as_uint(float f) { return sim_from_bits<unsigned>(sim_to_bits(f)); }
SIM_FN float __uint_as_float(unsigned i) { return sim_from_bits<float>(sim_to_bits(i)); }
SIM_FN long long __double_as_longlong(double d) { return sim_from_bits<long long>(sim_to_bits(d)); }
SIM_FN double __longlong_as_double(long long i) { return sim_from_bits<double>(sim_to_bits(i)); }

SIM_FN int __popc(unsigned x) { return __builtin_popcount(x); }
SIM_FN int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
SIM_FN int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
SIM_FN int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
SIM_FN int __ffs(int x) { return __builtin_ffs(x); }
SIM_FN unsigned __brev(unsigned x)
{
    unsigned turned = 0;
    for (int i = 0; i < 32; ++i) turned |= (x >> i & 1) << (31 - i);
    return turned;
}
SIM_FN int __float2int_rn(float f) { return int(nearbyintf(f)); }
SIM_FN int __float2int_rd(float f) { return int(floorf(f)); }
SIM_FN int __mul24(int a, int b) { return a * b; }
SIM_FN unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
SIM_FN unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
#define assert(condition) ((condition) ? (void)0 : sim_assert_failed(#condition, __FILE__, __LINE__))
