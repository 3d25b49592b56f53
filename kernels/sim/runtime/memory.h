// memory.h - device memory: an array ends where a page ends that must not be touched, so that one step too far is a fault.
#pragma once

static const size_t FREED_MOST = 256;  // arrays of check mode whose addresses are kept from being used again

// Fresh pages cost more than most kernels: what was freed is kept for the next array of its size, up to a gigabyte.
// Not in check mode, where whoever still uses freed memory shall be found.
static std::multimap<size_t, void*> spare;
static size_t spare_bytes;
static const size_t MOST_SPARE = size_t(1) << 30;

static char* take_map(size_t map_bytes)
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    if (auto found = spare.find(map_bytes); found != spare.end()) {
        char* map = (char*)found->second;
        spare.erase(found);
        spare_bytes -= map_bytes;
        return map;
    }
    char* map = (char*)mmap(nullptr, map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    if (!mprotect(map + PAGE, map_bytes - 2 * PAGE, PROT_READ | PROT_WRITE)) return map;
    munmap(map, map_bytes);
    return nullptr;
}

extern "C" void* sim_malloc(size_t bytes, int checked)
{
    const size_t rounded = (bytes + 15) / 16 * 16, map_bytes = (rounded + PAGE - 1) / PAGE * PAGE + 2 * PAGE;
    if (map_bytes < bytes) return nullptr;
    char* map = take_map(map_bytes);
    if (!map) return nullptr;
    char* p = map + map_bytes - PAGE - rounded;
    Allocation made{uintptr_t(p), uintptr_t(p) + bytes, nullptr, map, map_bytes};
    if (checked) {
        memset(p, 0xff, rounded);  // NaN, if anybody reads it
        made.shadow = new Shadow(bytes);
        if (!made.shadow->good()) {
            delete made.shadow;
            munmap(map, map_bytes);
            return nullptr;
        }
    }
    std::lock_guard<std::mutex> lock(allocations_lock);
    allocations[made.high] = made;
    return p;
}

extern "C" void sim_free(void* p, size_t bytes)
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    auto found = allocations.find(uintptr_t(p) + bytes);
    if (found == allocations.end()) return;
    Allocation gone = found->second;
    allocations.erase(found);
    if (gone.shadow) {
        delete gone.shadow;
        gone.shadow = nullptr;
        // keeps the addresses, gives back the memory
        if (mmap(gone.map, gone.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
            freed.push_back(gone);
            if (freed.size() <= FREED_MOST) return;
            gone = freed.front();
            freed.pop_front();
        }
    } else if (spare_bytes + gone.map_bytes <= MOST_SPARE) {
        spare.insert({gone.map_bytes, gone.map});
        spare_bytes += gone.map_bytes;
        return;
    }
    munmap(gone.map, gone.map_bytes);
}

static Allocation* allocation_at(uintptr_t address)
{
    auto found = allocations.upper_bound(address);
    return found == allocations.end() || address < found->second.low ? nullptr : &found->second;
}

extern "C" void sim_mark(void* p, size_t bytes)  // the host has written here
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    Allocation* a = allocation_at(uintptr_t(p));
    if (a && a->shadow)
        memset(a->shadow->initialised + (uintptr_t(p) - a->low), 1, std::min<size_t>(bytes, a->high - uintptr_t(p)));
}

extern "C" void sim_written(void* p, size_t bytes, uint8_t* answer)  // which bytes have been written, by whomever
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    Allocation* a = allocation_at(uintptr_t(p));
    if (a && a->shadow) memcpy(answer, a->shadow->initialised + (uintptr_t(p) - a->low), bytes);
    else memset(answer, 1, bytes);
}

static Shadow* shadow_of_variables(const Range& data)
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    Shadow*& shadow = variables[data.low];
    if (!shadow) {
        shadow = new Shadow(data.high - data.low);
        memset(shadow->initialised, 1, shadow->bytes);  // C++ has set them
    }
    return shadow;
}

// The clock of check mode has 32 bits. Long before they run out, everything that it says is forgotten.
static void wind_clock()
{
    if (last_time < uint32_t(1) << 31) return;
    for (auto& [end, allocation] : allocations)
        if (allocation.shadow) allocation.shadow->forget();
    for (auto& [low, shadow] : variables) shadow->forget();
    last_time = 1;
}
