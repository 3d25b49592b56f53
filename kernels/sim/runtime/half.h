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
SIM_FN __half __hneg(__half h) { return __half(-(float)h); }
SIM_FN __half __hfma(__half a, __half b, __half c) { return __half(fmaf(a, b, c)); }
#define SIM_HALF(op, name)                                                                                              \
    SIM_FN __half operator op(__half a, __half b) { return __half((float)a op (float)b); }                              \
    SIM_FN __half& operator op##=(__half& a, __half b) { return a = a op b; }                                           \
    SIM_FN __half name(__half a, __half b) { return a op b; }
SIM_HALF(+, __hadd) SIM_HALF(-, __hsub) SIM_HALF(*, __hmul) SIM_HALF(/, __hdiv)
#define SIM_HALF_COMPARED(op, name)                                                                                     \
    SIM_FN bool operator op(__half a, __half b) { return (float)a op (float)b; }                                        \
    SIM_FN bool name(__half a, __half b) { return a op b; }
SIM_HALF_COMPARED(<, __hlt) SIM_HALF_COMPARED(>, __hgt) SIM_HALF_COMPARED(<=, __hle) SIM_HALF_COMPARED(>=, __hge)
SIM_HALF_COMPARED(==, __heq) SIM_HALF_COMPARED(!=, __hne)
SIM_FN __half operator-(__half h) { return __hneg(h); }
SIM_FN __half __hmax(__half a, __half b) { return __half(fmaxf(a, b)); }
SIM_FN __half __hmin(__half a, __half b) { return __half(fminf(a, b)); }
