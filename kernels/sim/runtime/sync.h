// sync.h - what threads do together: barriers, votes, shuffles. Each tells the runtime where in the .cu file it stands.
#pragma once

SIM_FN void __syncthreads(SIM_HERE) { sim_syncthreads("__syncthreads", file_, line_); }
SIM_FN int __syncthreads_count(int p, SIM_HERE) { return sim_vote_block(!!p, 0, "__syncthreads_count", file_, line_); }
SIM_FN int __syncthreads_and(int p, SIM_HERE) { return sim_vote_block(!!p, 1, "__syncthreads_and", file_, line_); }
SIM_FN int __syncthreads_or(int p, SIM_HERE) { return sim_vote_block(!!p, 2, "__syncthreads_or", file_, line_); }
SIM_FN void __syncwarp(unsigned mask = 0xffffffffu, SIM_HERE) { sim_exchange(mask, 0, "__syncwarp", file_, line_); }
// Memory is sequentially consistent here, so a fence does nothing. To the checker it says that an atomic hands on results.
#ifdef SIM_CHECK
SIM_FN void __threadfence() { sim_fence(); }
#else
SIM_FN void __threadfence() {}
#endif
SIM_FN void __threadfence_block() { __threadfence(); }
SIM_FN void __threadfence_system() { __threadfence(); }
SIM_FN unsigned __activemask() { return sim_activemask(); }

template <class T> SIM_FN uint64_t sim_to_bits(T value)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}
template <class T> SIM_FN T sim_from_bits(uint64_t bits)
{
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The four shuffles differ in the lane they read from. Lanes work in segments of `width`; a lane whose source lies
// outside of its segment keeps its own value.
#define SIM_SHUFFLE(name, SOURCE, EXISTS)                                                                              \
    template <class T> SIM_FN T name(unsigned mask, T value, int by, int width = 32, SIM_HERE)                         \
    {                                                                                                                  \
        const int lane = sim_lane(), segment = lane & ~(width - 1), place = lane & (width - 1);                        \
        const uint64_t* all = sim_exchange(mask, sim_to_bits(value), #name, file_, line_);                             \
        (void)place;                                                                                                   \
        const int source = (EXISTS) ? (SOURCE) : lane;                                                                 \
        sim_source(mask, source, #name, file_, line_);                                                                 \
        return sim_from_bits<T>(all[source]);                                                                          \
    }
SIM_SHUFFLE(__shfl_sync, segment + (by & (width - 1)), true)
SIM_SHUFFLE(__shfl_up_sync, lane - by, place - by >= 0)
SIM_SHUFFLE(__shfl_down_sync, lane + by, place + by < width)
SIM_SHUFFLE(__shfl_xor_sync, lane ^ by, (lane ^ by) < segment + width)

SIM_FN unsigned __ballot_sync(unsigned mask, int p, SIM_HERE)
{
    const uint64_t* all = sim_exchange(mask, !!p, "__ballot_sync", file_, line_);
    unsigned votes = 0;
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1 && all[lane]) votes |= 1u << lane;
    return votes;
}
SIM_FN int __any_sync(unsigned mask, int p, SIM_HERE) { return __ballot_sync(mask, p, file_, line_) != 0; }
SIM_FN int __all_sync(unsigned mask, int p, SIM_HERE) { return __ballot_sync(mask, p, file_, line_) == mask; }

// Which lanes hold the same bits as this one, and what the lanes hold together. A GPU has these since 2017 and 2020.
template <class T> SIM_FN unsigned __match_any_sync(unsigned mask, T value, SIM_HERE)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a match compares 4 or 8 bytes");
    const uint64_t* all = sim_exchange(mask, sim_to_bits(value), "__match_any_sync", file_, line_);
    unsigned same = 0;
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1 && all[lane] == sim_to_bits(value)) same |= 1u << lane;
    return same;
}
template <class T> SIM_FN unsigned __match_all_sync(unsigned mask, T value, int* all_do, SIM_HERE)
{
    *all_do = __match_any_sync(mask, value, file_, line_) == mask;
    return *all_do ? mask : 0;
}
template <class T, class F>
SIM_FN T sim_reduce(unsigned mask, T value, const char* op, const char* file, int line, F join)
{
    const uint64_t* all = sim_exchange(mask, sim_to_bits(value), op, file, line);
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1 && lane != sim_lane()) value = join(value, sim_from_bits<T>(all[lane]));
    return value;
}
#define SIM_REDUCE(T, name, RESULT)                                                                                    \
    SIM_FN T name(unsigned mask, T value, SIM_HERE)                                                                    \
    {                                                                                                                  \
        return sim_reduce(mask, value, #name, file_, line_, [](T a, T b) SIM_UNCHECKED -> T { return RESULT; });       \
    }
SIM_REDUCE(unsigned, __reduce_add_sync, a + b) SIM_REDUCE(int, __reduce_add_sync, int(unsigned(a) + unsigned(b)))
SIM_REDUCE(unsigned, __reduce_min_sync, a < b ? a : b) SIM_REDUCE(int, __reduce_min_sync, a < b ? a : b)
SIM_REDUCE(unsigned, __reduce_max_sync, a < b ? b : a) SIM_REDUCE(int, __reduce_max_sync, a < b ? b : a)
SIM_REDUCE(unsigned, __reduce_and_sync, a & b) SIM_REDUCE(unsigned, __reduce_or_sync, a | b)
SIM_REDUCE(unsigned, __reduce_xor_sync, a ^ b)
