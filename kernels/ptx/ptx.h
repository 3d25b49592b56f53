// ptx.h - what the C++ that PTX was translated to is made of: registers as bits, and what instructions do with them.
#pragma once
#include <fenv.h>

// Small things, a part of whoever calls them: so each instruction of the processor belongs to a line of the .cu file.
#define PTX_FN static inline __attribute__((always_inline))

// A register holds bits; an instruction says what they are: `get<float>(r)` of a 32-bit register is the float with these
// bits. A register may be wider than the type, which then takes its low bits.
template <class T, class R> PTX_FN T get(R bits)
{
    if constexpr (std::is_same_v<T, R>) return bits;
    else if constexpr (sizeof(T) == sizeof(R)) return __builtin_bit_cast(T, bits);
    else {
        static_assert(std::is_integral_v<T>, "a number with a point is as wide as its register");
        return T(bits);
    }
}
// Integers that are narrower than the register are extended, by their sign if they have one.
template <class R, class T> PTX_FN void put(R& bits, T value)
{
    if constexpr (std::is_same_v<T, R>) bits = value;
    else if constexpr (sizeof(T) == sizeof(R)) bits = __builtin_bit_cast(R, value);
    else {
        static_assert(std::is_integral_v<T>, "a number with a point is as wide as its register");
        bits = R(value);
    }
}

// Shared memory is addressed from its beginning, in 32 bits. Static arrays lie around ptx_anchor; the array whose size
// comes with the launch lies elsewhere, and its addresses begin at 1 GB.
static thread_local char ptx_anchor = 0;
static const uint32_t PTX_DYNAMIC = 1u << 30;
PTX_FN uint64_t shared_to_generic(uint64_t address, uint64_t dynamic)
{
    const int32_t at = int32_t(uint32_t(address));
    return at >= int32_t(PTX_DYNAMIC) / 2 ? dynamic + (at - int32_t(PTX_DYNAMIC)) : uint64_t(&ptx_anchor) + int64_t(at);
}
PTX_FN uint32_t generic_to_shared(uint64_t pointer, uint64_t dynamic)
{
    if (dynamic && pointer - dynamic < (1u << 20)) return PTX_DYNAMIC + uint32_t(pointer - dynamic);
    return uint32_t(pointer - uint64_t(&ptx_anchor));
}

// Parameters: copied in and out without a look of the checker, for they belong to the thread.
template <class T> SIM_FN T from_parameter(const void* p, int offset)
{
    T value;
    __builtin_memcpy(&value, (const char*)p + offset, sizeof value);
    return value;
}
template <class T> SIM_FN void to_parameter(void* p, int offset, T value)
{
    __builtin_memcpy((char*)p + offset, &value, sizeof value);
}
template <int bytes, int align> struct alignas(align) ptx_struct { unsigned char data[bytes]; };
using ptx_u128 = unsigned __int128;
using ptx_s128 = __int128;

// Arithmetic ------------------------------------------------------------------------------------------------------------
#define BITS_OF(T) (8 * int(sizeof(T)))
template <class T> PTX_FN T lesser(T a, T b)  // of a number and a NaN the number; -0 is less than 0
{
    if constexpr (std::is_integral_v<T>) return b < a ? b : a;
    else return a < b ? a : b < a ? b : a != a ? b : b != b || signbit(a) ? a : b;
}
template <class T> PTX_FN T greater(T a, T b)
{
    if constexpr (std::is_integral_v<T>) return a < b ? b : a;
    else return a < b ? b : b < a ? a : a != a ? b : b != b || !signbit(a) ? a : b;
}
// What g++ calls in a checked .cu text, the instructions call here.
struct ptx_place { const char* file; uint32_t line, column; };
extern "C" void __ubsan_handle_divrem_overflow_abort(ptx_place*, ...);
extern "C" void __ubsan_handle_out_of_bounds_abort(ptx_place*, ...);
SIM_FN void complain_if_zero(bool zero, const char* file, int line)
{
#ifdef SIM_CHECK
    ptx_place place{file, uint32_t(line), 0};
    if (zero) __ubsan_handle_divrem_overflow_abort(&place);
#endif
}
// An address in .local, which must lie in the function's own array there.
PTX_FN uint64_t within(uint64_t address, int bytes, const void* array, int size, SIM_HERE)
{
#ifdef SIM_CHECK
    ptx_place place{file_, uint32_t(line_), 0};
    if (address - uint64_t(array) > uint64_t(size - bytes)) __ubsan_handle_out_of_bounds_abort(&place);
#endif
    return address;
}
template <class T> PTX_FN T quotient(T a, T b, SIM_HERE)
{
    complain_if_zero(b == 0, file_, line_);
    if constexpr (std::is_integral_v<T>) {
        if (b == 0) return T(-1);  // "unspecified"; this is what GPUs give
        if (std::is_signed_v<T> && b == T(-1)) return T(0) - a;
    }
    return a / b;
}
template <class T> PTX_FN T remainder_of(T a, T b, SIM_HERE)
{
    complain_if_zero(b == 0, file_, line_);
    if (b == 0) return a;
    return std::is_signed_v<T> && b == T(-1) ? T(0) : T(a % b);
}
template <class T> PTX_FN T saturated(T a) { return a > 0 ? (a < 1 ? a : 1) : 0; }  // NaN becomes 0
// .ftz: numbers below the smallest normal one count as 0, before and after. Without it they count, as always in float64;
// libdevice's functions rely on that. So the processor does not flush here, as it does for a .cu text.
PTX_FN float flushed(float a) { return __builtin_fabsf(a) < 1.17549435e-38f ? __builtin_copysignf(0, a) : a; }
PTX_FN double flushed(double a) { return __builtin_fabs(a) < 2.2250738585072014e-308 ? __builtin_copysign(0, a) : a; }
struct ptx_half {  // computed with as float, which has more than twice as many digits: rounded once more, it is exact
    unsigned short bits;
    SIM_UNCHECKED ptx_half(float f) : bits(sim_to_half(f)) {}
    SIM_UNCHECKED operator float() const { return sim_of_half(bits); }
};
PTX_FN double upper_half(double a) { return get<double>(get<uint64_t>(a) >> 32 << 32); }
template <class T> SIM_FN T opaque(T a)  // not computed before
{
    asm volatile("" : "+m"(a));
    return a;
}
template <class F> SIM_FN auto rounded(int mode, F compute)
{
    const int before = fegetround();
    fesetround(mode);
    const auto result = opaque(compute());
    fesetround(before);
    return result;
}
PTX_FN float fused(float a, float b, float c) { return fmaf(a, b, c); }
PTX_FN double fused(double a, double b, double c) { return fma(a, b, c); }

// To whole numbers: what does not fit becomes the nearest that does. NaN: 0, or, if 64 bits are in play, the highest bit.
template <class To, class From> PTX_FN To whole(From a)
{
    using U = std::make_unsigned_t<To>;
    const bool wide = sizeof(From) == 8 || sizeof(To) == 8;
    const To least = std::is_signed_v<To> ? To(U(1) << (BITS_OF(To) - 1)) : To(0), most = To(~least);
    if (a != a) return wide ? To(U(1) << (BITS_OF(To) - 1)) : To(0);
    if (a <= From(least)) return least;
    return a >= From(most) ? most : To(a);
}
template <class To, class From> PTX_FN To clamped(From a)  // from one kind of whole numbers to another
{
    using U = std::make_unsigned_t<To>;
    const __int128 least = std::is_signed_v<To> ? -(__int128(1) << (BITS_OF(To) - 1)) : 0;
    const __int128 most = std::is_signed_v<To> ? (__int128(1) << (BITS_OF(To) - 1)) - 1 : __int128(U(~U(0)));
    return a < least ? To(least) : __int128(a) > most ? To(most) : To(a);
}

// Sums with a carry: numbers of several registers, from the lowest on
template <class T> PTX_FN T added(T a, T b, bool carry, bool& carried)
{
    const unsigned __int128 sum = (unsigned __int128)a + b + carry;
    carried = sum >> BITS_OF(T) & 1;
    return T(sum);
}
template <class T> PTX_FN T subtracted(T a, T b, bool borrow, bool& borrowed)
{
    const unsigned __int128 difference = (unsigned __int128)a - b - borrow;
    borrowed = difference >> BITS_OF(T) & 1;
    return T(difference);
}

// Bits ------------------------------------------------------------------------------------------------------------------
template <class T> PTX_FN T left(T a, uint32_t by) { return by < uint32_t(BITS_OF(T)) ? T(a << by) : T(0); }
template <class T> PTX_FN T right(T a, uint32_t by)
{
    return by < uint32_t(BITS_OF(T)) ? T(a >> by) : std::is_signed_v<T> && a < 0 ? T(-1) : T(0);
}
template <class T> PTX_FN T low_bits(uint32_t n) { return n >= uint32_t(BITS_OF(T)) ? T(~T(0)) : T((T(1) << n) - 1); }
template <class T> PTX_FN T inserted(T a, T b, uint32_t at, uint32_t n)
{
    const T mask = left(low_bits<T>(n & 255), at & 255);
    return (b & ~mask) | (left(a, at & 255) & mask);
}
template <class T> PTX_FN T extracted(T a, uint32_t at, uint32_t n)
{
    using U = std::make_unsigned_t<T>;
    at &= 255, n &= 255;
    const uint32_t bits = BITS_OF(T), there = at >= bits ? 0 : n < bits - at ? n : bits - at;  // beyond the top: the sign
    const U found = right(U(a), at) & low_bits<U>(there);
    if (!std::is_signed_v<T> || n == 0) return T(found);
    const bool negative = U(a) >> (at + n - 1 < bits ? at + n - 1 : bits - 1) & 1;
    return T(negative ? found | U(~low_bits<U>(there)) : found);
}
template <class T> PTX_FN uint32_t highest_bit(T a)
{
    using U = std::make_unsigned_t<T>;
    const U bits = std::is_signed_v<T> && a < 0 ? U(~U(a)) : U(a);
    return bits ? 63 - __builtin_clzll(uint64_t(bits)) : ~0u;
}
PTX_FN uint32_t any_function(uint32_t a, uint32_t b, uint32_t c, uint32_t table)  // lop3: bit by bit, by its table
{
    uint32_t result = 0;
    for (int row = 0; row < 8; ++row)
        if (table >> row & 1) result |= (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
    return result;
}
PTX_FN uint32_t permuted(uint32_t a, uint32_t b, uint32_t choice)  // prmt: any 4 of the 8 bytes, or their signs
{
    const uint64_t bytes = uint64_t(b) << 32 | a;
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
        const uint32_t which = choice >> 4 * i & 15, byte = bytes >> 8 * (which & 7) & 255;
        result |= (which & 8 ? (byte & 128 ? 255 : 0) : byte) << 8 * i;
    }
    return result;
}

template <class T> SIM_FN T compared_and_set(T* p, T expected, T value, const char* file, int line)
{
#ifdef SIM_CHECK
    sim_cas(p);
#endif
    return sim_change(p, file, line, [&](T old) SIM_UNCHECKED -> T { return old == expected ? value : old; });
}

// Within a warp ---------------------------------------------------------------------------------------------------------
enum Shuffle { UP, DOWN, BFLY, IDX };
SIM_FN uint32_t shuffled(Shuffle how, uint32_t value, uint32_t by, uint32_t limits, uint32_t mask, bool* exists,
                         const char* op, const char* file, int line)
{
    const int lane = sim_lane(), segment = limits >> 8 & 31;  // the bits of a lane that stay
    const int last = (lane & segment) | (limits & 31 & ~segment), b = by & 31;
    const uint64_t* all = sim_exchange(mask, value, op, file, line);
    const int from = how == UP ? lane - b : how == DOWN ? lane + b : how == BFLY ? lane ^ b : (lane & segment) | (b & ~segment);
    *exists = how == UP ? from >= last : from <= last;
    const int source = *exists ? from : lane;
    sim_source(mask, source, op, file, line);
    return uint32_t(all[source]);
}
