// table.h - a table of a file's kernels for Python: name, how to run it, and its parameters as C++ itself knows them.
#pragma once

namespace sim {
// A parameter as text, such as "pcf4;" (pointer to const float) or "i8;" (long long): p = pointer, then c(onst) or
// m(utable); f, i, u, b = floating, signed, unsigned, bool, v = void, s = a struct; then the size in bytes. Of a
// vector such as float4 what it is made of follows: "s16:f4;".
template <class T> int describe(char* text)
{
    if constexpr (std::is_pointer_v<T>) {
        using Target = std::remove_pointer_t<T>;
        text[0] = 'p';
        text[1] = std::is_const_v<Target> ? 'c' : 'm';
        if constexpr (std::is_void_v<Target>) return 2 + sprintf(text + 2, "v0;");
        else return 2 + describe<std::remove_cv_t<Target>>(text + 2);
    } else if constexpr (std::is_enum_v<T>) {
        return describe<std::underlying_type_t<T>>(text);
    } else if constexpr (!std::is_void_v<typename sim_element<T>::type>) {
        const int before = sprintf(text, "s%d:", int(sizeof(T)));
        return before + describe<typename sim_element<T>::type>(text + before);
    } else {
        const char kind = std::is_same_v<T, bool> ? 'b' : std::is_floating_point_v<T> || std::is_same_v<T, __half> ? 'f'
                          : std::is_integral_v<T> ? (std::is_signed_v<T> ? 'i' : 'u') : 's';
        return sprintf(text, "%c%d;", kind, int(sizeof(T)));
    }
}

template <class... P> struct Kernel {
    static int describe_all(char* text)
    {
        int n = 0;
        ((n += describe<std::remove_cv_t<P>>(text + n)), ...);
        text[n] = 0;
        return int(sizeof...(P));
    }
    // All threads of a block one after another, as long as none has to wait. One that waits leaves this loop hanging on
    // its stack, and the scheduler enters the loop again on another stack, with the next thread.
    template <size_t... I>
    static inline __attribute__((always_inline)) SIM_UNCHECKED void loop(
        void (*kernel)(P...), void** arguments, std::index_sequence<I...>)
    {
        while (sim_next < sim_count) {
            sim_begin();
            kernel(*static_cast<std::remove_cv_t<P>*>(arguments[I])...);
            sim_end();
        }
    }
};
template <class... P> Kernel<P...> kernel_of(void (*)(P...));
template <class... P> SIM_UNCHECKED void run(void (*kernel)(P...), void** arguments)
{
    Kernel<P...>::loop(kernel, arguments, std::index_sequence_for<P...>{});
}
struct Entry {
    const char* name;
    void (*run)(void**);
    int (*describe)(char*);
    int threads;  // of a block, at most, as __launch_bounds__ says; 0: as many as the hardware takes
};
}  // namespace sim

#define SIM_KERNEL(NAME, THREADS, ...)                                                                                 \
    {NAME, [](void** arguments) SIM_UNCHECKED { sim::run(&__VA_ARGS__, arguments); },                                  \
     &decltype(sim::kernel_of(&__VA_ARGS__))::describe_all, int(THREADS)},
