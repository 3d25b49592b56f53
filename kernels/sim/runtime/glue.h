// glue.h - compiled into every .cu file's library: where its variables and its code lie in memory.
#pragma once
#include <link.h>

extern "C" void* __tls_get_addr(size_t*);
extern "C" sim::Entry sim_table[];  // stands behind the file's own text

struct sim_parts {
    size_t tls_module = 0, tls_bytes = 0;
    uintptr_t data[2] = {0, 0}, text[2] = {0, 0};
};
static int sim_find(dl_phdr_info* info, size_t, void* found)
{
    sim_parts parts;
    bool own = false;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& part = info->dlpi_phdr[i];
        const uintptr_t low = info->dlpi_addr + part.p_vaddr, high = low + part.p_memsz, here = (uintptr_t)&sim_table;
        if (part.p_type == PT_TLS) parts.tls_module = info->dlpi_tls_modid, parts.tls_bytes = part.p_memsz;
        if (part.p_type != PT_LOAD) continue;
        own = own || (here >= low && here < high);
        if (part.p_flags & PF_W) parts.data[0] = low, parts.data[1] = high;
        if (part.p_flags & PF_X) parts.text[0] = low, parts.text[1] = high;
    }
    if (own) *(sim_parts*)found = parts;
    return own;
}

static thread_local char sim_anchor = 0;  // so that there is thread-local memory: the block's static shared memory
extern "C" SIM_UNCHECKED void sim_find_ranges(uintptr_t* ranges)  // sim_ranges of state.h
{
    static const sim_parts parts = [] SIM_UNCHECKED {
        sim_parts found;
        dl_iterate_phdr(sim_find, &found);
        return found;
    }();
    *(volatile char*)&sim_anchor = 0;
    size_t index[2] = {parts.tls_module, 0};
    ranges[0] = (uintptr_t)__tls_get_addr(index);
    ranges[1] = ranges[0] + parts.tls_bytes;
    for (int i = 0; i < 2; ++i) ranges[2 + i] = parts.data[i], ranges[4 + i] = parts.text[i];
}
