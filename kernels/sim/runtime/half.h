// half.h - 16-bit floating numbers: kept as such, computed with as float, rounded after each operation as on a GPU.
#pragma once

struct __half {
    _Float16 value;
    __half() = default;
    SIM_UNCHECKED __half(float f) : value((_Float16)f) {}
    SIM_UNCHECKED explicit operator float() const { return (float)value; }
};
using half = __half;
SIM_FN __half __float2half(float f) { return __half(f); }
SIM_FN __half __float2half_rn(float f) { return __half(f); }
SIM_FN float __half2float(__half h) { return (float)h.value; }
#define SIM_HALF(op, name)                                                                                              \
    SIM_FN __half operator op(__half a, __half b) { return __half((float)a.value op (float)b.value); }                  \
    SIM_FN __half name(__half a, __half b) { return a op b; }
SIM_HALF(+, __hadd) SIM_HALF(-, __hsub) SIM_HALF(*, __hmul) SIM_HALF(/, __hdiv)
SIM_FN bool operator<(__half a, __half b) { return a.value < b.value; }
SIM_FN bool operator>(__half a, __half b) { return a.value > b.value; }
SIM_FN bool operator==(__half a, __half b) { return a.value == b.value; }
