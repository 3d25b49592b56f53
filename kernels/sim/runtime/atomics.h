// atomics.h - read, change and write without anybody between. Blocks run on several workers, so these are real atomics.
#pragma once

template <class T, class F> SIM_FN T sim_change(T* p, const char* file, int line, F change)
{
    using Word = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>>;
    static_assert(sizeof(Word) == sizeof(T), "an atomic works on 2, 4 or 8 bytes");
#ifdef SIM_CHECK
    sim_atomic(p, sizeof(T), file, line);
#else
    (void)file, (void)line;
#endif
    Word* word = reinterpret_cast<Word*>(p);
    Word before = __atomic_load_n(word, __ATOMIC_RELAXED), after;
    T old;
    do {
        memcpy(&old, &before, sizeof before);
        const T changed = change(old);
        memcpy(&after, &changed, sizeof after);
    } while (!__atomic_compare_exchange_n(word, &before, after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    if (++sim_spins > 1000) sim_yield();
    return old;
}

// CUDA has each of them for some types only. For others the compiler shall say: no matching function.
template <class T, class... Those> using sim_only = std::enable_if_t<(std::is_same_v<T, Those> || ...)>;
using sim_ull = unsigned long long;
struct __half;
struct __half2;

#define SIM_ATOMIC(name, RESULT, ...)                                                                                  \
    template <class T, class = sim_only<T, __VA_ARGS__>>                                                               \
    SIM_FN T name(T* p, std::common_type_t<T> v, SIM_HERE)                                                             \
    {                                                                                                                  \
        return sim_change(p, file_, line_, [&](T old) SIM_UNCHECKED -> T { return RESULT; });                          \
    }
SIM_ATOMIC(atomicAdd, old + v, int, unsigned, sim_ull, float, double, __half, __half2)
SIM_ATOMIC(atomicSub, old - v, int, unsigned)
SIM_ATOMIC(atomicExch, ((void)old, v), int, unsigned, sim_ull, float)
SIM_ATOMIC(atomicMin, v < old ? v : old, int, unsigned, sim_ull, long long)
SIM_ATOMIC(atomicMax, old < v ? v : old, int, unsigned, sim_ull, long long)
SIM_ATOMIC(atomicAnd, old & v, int, unsigned, sim_ull)
SIM_ATOMIC(atomicOr, old | v, int, unsigned, sim_ull)
SIM_ATOMIC(atomicXor, old ^ v, int, unsigned, sim_ull)
SIM_ATOMIC(atomicInc, old >= v ? 0 : old + 1, unsigned)
SIM_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1, unsigned)
template <class T, class = sim_only<T, int, unsigned, sim_ull, unsigned short>>
SIM_FN T atomicCAS(T* p, std::common_type_t<T> expected, std::common_type_t<T> v, SIM_HERE)
{
#ifdef SIM_CHECK
    sim_cas(p);
#endif
    return sim_change(p, file_, line_, [&](T old) SIM_UNCHECKED -> T { return old == expected ? v : old; });
}
