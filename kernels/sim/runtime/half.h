// half.h - 16-bit floating numbers: kept as such, computed with as float, rounded after each operation as on a GPU.
// g++ has a type for them from version 12 on only; the conversions need a few lines.
#pragma once

SIM_FN unsigned short sim_to_half(float f)
{
    const uint32_t all = sim_to_bits(f), sign = all >> 16 & 0x8000, size = all & 0x7fffffff;
    if (size >= 0x47800000) return sign | (size > 0x7f800000 ? 0x7fff : 0x7c00);  // NaN; 65536 and more are infinite
    if (size < 0x38800000)  // below 2^-14 half counts in steps of 2^-24, and so does float between 0.5 and 1
        return sign | (sim_to_bits(sim_from_bits<float>(size) + 0.5f) - 0x3f000000);
    return sign | (((size + 0xfff + (size >> 13 & 1)) >> 13) - (112 << 10));  // to the nearest, to even if between
}
SIM_FN float sim_of_half(unsigned short half)
{
    const uint32_t sign = uint32_t(half & 0x8000) << 16, size = half & 0x7fff;
    if (size >= 0x7c00) return sim_from_bits<float>(sign | 0x7f800000 | (size & 0x3ff) << 13);
    if (size < 0x400) return (sign ? -1 : 1) * float(size) / (1 << 24);
    return sim_from_bits<float>(sign | ((size << 13) + (112 << 23)));
}

struct __half {
    unsigned short bits;
    __half() = default;
    __half(const __half&) = default;
    SIM_ASSIGNED(__half)
    SIM_UNCHECKED __half(float f) : bits(sim_to_half(f)) {}
    SIM_UNCHECKED operator float() const { return sim_of_half(bits); }
};
using half = __half;
SIM_FN __half __float2half(float f) { return __half(f); }
SIM_FN __half __float2half_rn(float f) { return __half(f); }
SIM_FN __half __double2half(double f) { return __half((float)f); }
SIM_FN __half __int2half_rn(int i) { return __half((float)i); }
SIM_FN float __half2float(__half h) { return (float)h; }
SIM_FN unsigned short __half_as_ushort(__half h) { return h.bits; }
SIM_FN short __half_as_short(__half h) { return short(h.bits); }
SIM_FN __half __ushort_as_half(unsigned short bits)
{
    __half h;
    h.bits = bits;
    return h;
}
SIM_FN __half __short_as_half(short bits) { return __ushort_as_half((unsigned short)bits); }
SIM_FN __half __uint2half_rn(unsigned i) { return __half((float)i); }
SIM_FN int __half2int_rn(__half h) { return __float2int_rn(h); }
SIM_FN int __half2int_rz(__half h) { return __float2int_rz(h); }
SIM_FN int __half2int_rd(__half h) { return __float2int_rd(h); }
SIM_FN int __half2int_ru(__half h) { return __float2int_ru(h); }
SIM_FN bool __hisnan(__half h) { return isnan((float)h); }
SIM_FN int __hisinf(__half h) { return isinf((float)h) ? (float)h > 0 ? 1 : -1 : 0; }
SIM_FN __half __hneg(__half h) { return __half(-(float)h); }
SIM_FN __half __hfma(__half a, __half b, __half c) { return __half(fmaf(a, b, c)); }
#define SIM_HALF(op, name)                                                                                             \
    SIM_FN __half operator op(__half a, __half b) { return __half((float)a op (float)b); }                             \
    SIM_FN __half& operator op##=(__half& a, __half b) { return a = a op b; }                                          \
    SIM_FN __half name(__half a, __half b) { return a op b; }
SIM_HALF(+, __hadd) SIM_HALF(-, __hsub) SIM_HALF(*, __hmul) SIM_HALF(/, __hdiv)
#define SIM_HALF_COMPARED(op, name)                                                                                    \
    SIM_FN bool operator op(__half a, __half b) { return (float)a op (float)b; }                                       \
    SIM_FN bool name(__half a, __half b) { return a op b; }
SIM_HALF_COMPARED(<, __hlt) SIM_HALF_COMPARED(>, __hgt) SIM_HALF_COMPARED(<=, __hle) SIM_HALF_COMPARED(>=, __hge)
SIM_HALF_COMPARED(==, __heq) SIM_HALF_COMPARED(!=, __hne)
SIM_FN __half operator-(__half h) { return __hneg(h); }
SIM_FN __half __hmax(__half a, __half b) { return __half(fmaxf(a, b)); }
SIM_FN __half __hmin(__half a, __half b) { return __half(fminf(a, b)); }
#define SIM_HALF_FUNCTION(name, of)                                                                                    \
    SIM_FN __half name(__half h) { return __half(of((float)h)); }
SIM_HALF_FUNCTION(__habs, fabsf) SIM_HALF_FUNCTION(hexp, expf) SIM_HALF_FUNCTION(hlog, logf)
SIM_HALF_FUNCTION(hsqrt, sqrtf) SIM_HALF_FUNCTION(hrsqrt, rsqrtf) SIM_HALF_FUNCTION(hrcp, 1.f /)
SIM_HALF_FUNCTION(hsin, sinf) SIM_HALF_FUNCTION(hcos, cosf) SIM_HALF_FUNCTION(hfloor, floorf)
SIM_HALF_FUNCTION(hceil, ceilf) SIM_HALF_FUNCTION(htrunc, truncf) SIM_HALF_FUNCTION(hrint, rintf)

// Two halves, which one instruction computes with --------------------------------------------------------------------
struct alignas(4) __half2 {
    __half x, y;  // the low and the high one
    __half2() = default;
    __half2(const __half2&) = default;
    SIM_ASSIGNED(__half2)
    SIM_UNCHECKED __half2(__half x, __half y) : x(x), y(y) {}
};
using half2 = __half2;
template <> struct sim_element<__half2> { using type = __half; };
SIM_FN __half2 make_half2(__half x, __half y) { return {x, y}; }
SIM_FN __half2 __halves2half2(__half x, __half y) { return {x, y}; }
SIM_FN __half2 __half2half2(__half h) { return {h, h}; }
SIM_FN __half2 __float2half2_rn(float f) { return {__half(f), __half(f)}; }
SIM_FN __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
SIM_FN __half2 __float22half2_rn(float2 f) { return {__half(f.x), __half(f.y)}; }
SIM_FN float2 __half22float2(__half2 h) { return {float(h.x), float(h.y)}; }
SIM_FN float __low2float(__half2 h) { return h.x; }
SIM_FN float __high2float(__half2 h) { return h.y; }
SIM_FN __half __low2half(__half2 h) { return h.x; }
SIM_FN __half __high2half(__half2 h) { return h.y; }
SIM_FN __half2 __low2half2(__half2 h) { return {h.x, h.x}; }
SIM_FN __half2 __high2half2(__half2 h) { return {h.y, h.y}; }
SIM_FN __half2 __lows2half2(__half2 a, __half2 b) { return {a.x, b.x}; }
SIM_FN __half2 __highs2half2(__half2 a, __half2 b) { return {a.y, b.y}; }
SIM_FN __half2 __lowhigh2highlow(__half2 h) { return {h.y, h.x}; }
SIM_FN __half2 __hneg2(__half2 h) { return {-h.x, -h.y}; }
SIM_FN __half2 __habs2(__half2 h) { return {__habs(h.x), __habs(h.y)}; }
SIM_FN __half2 operator-(__half2 h) { return __hneg2(h); }
SIM_FN __half2 __hfma2(__half2 a, __half2 b, __half2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
SIM_FN __half2 __hmax2(__half2 a, __half2 b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }
SIM_FN __half2 __hmin2(__half2 a, __half2 b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }
#define SIM_HALF2(op, name)                                                                                            \
    SIM_FN __half2 operator op(__half2 a, __half2 b) { return {a.x op b.x, a.y op b.y}; }                              \
    SIM_FN __half2& operator op##=(__half2& a, __half2 b) { return a = a op b; }                                       \
    SIM_FN __half2 name(__half2 a, __half2 b) { return a op b; }
SIM_HALF2(+, __hadd2) SIM_HALF2(-, __hsub2) SIM_HALF2(*, __hmul2) SIM_HALF2(/, __h2div)
// 1 or 0 for each, and with a b in front whether it holds for both
#define SIM_HALF2_COMPARED(op, name)                                                                                   \
    SIM_FN __half2 __h##name##2(__half2 a, __half2 b) { return {float(a.x op b.x), float(a.y op b.y)}; }               \
    SIM_FN bool __hb##name##2(__half2 a, __half2 b) { return a.x op b.x && a.y op b.y; }
SIM_HALF2_COMPARED(<, lt) SIM_HALF2_COMPARED(>, gt) SIM_HALF2_COMPARED(<=, le) SIM_HALF2_COMPARED(>=, ge)
SIM_HALF2_COMPARED(==, eq) SIM_HALF2_COMPARED(!=, ne)
