// memory.h - device memory: an array ends where a page ends that must not be touched, so that one step too far is a fault.
// To both sides of it lie gaps, many times wider than the array: an index that is wrong by a row, an image or all of the
// array lands in nothing, not in the array that was made next. Addresses that nobody touches cost no memory.
#pragma once
#include <sys/resource.h>

static const size_t FREED_MOST = 256;  // arrays of check mode whose addresses are kept from being used again

// Fresh pages cost more than most kernels: what was freed is kept for the next array of its size, up to a gigabyte.
// Not in check mode, where whoever still uses freed memory shall be found.
static std::multimap<size_t, Map> spare;
static size_t spare_bytes;
static const size_t MOST_SPARE = size_t(1) << 30;

static size_t gap_beside(size_t body)
{
    rlimit addresses;
    if (getrlimit(RLIMIT_AS, &addresses) || addresses.rlim_cur != RLIM_INFINITY) return PAGE;  // where they are rationed
    const size_t narrowest = size_t(1) << 26, widest = size_t(1) << 36;
    return body > widest / 16 ? widest : std::max(narrowest, 16 * body);
}

static bool new_map(Map& map)
{
    map.low = (char*)mmap(nullptr, map.bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map.low == MAP_FAILED) return false;
    if (!mprotect(map.low + map.gap, map.body, PROT_READ | PROT_WRITE)) return true;
    munmap(map.low, map.bytes());
    return false;
}

static bool take_map(Map& map)
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    if (auto found = spare.find(map.body); found != spare.end()) {
        map = found->second;
        spare.erase(found);
        spare_bytes -= map.body;
        return true;
    }
    map.gap = gap_beside(map.body);
    if (new_map(map)) return true;
    map.gap = PAGE;  // there may be memory, but not so many addresses
    return new_map(map);
}

extern "C" void* sim_malloc(size_t bytes, int checked)
{
    const size_t rounded = (bytes + 15) / 16 * 16;
    Map map{nullptr, PAGE, (rounded + PAGE - 1) / PAGE * PAGE};
    if (map.body < bytes || !take_map(map)) return nullptr;
    char* p = map.low + map.gap + map.body - rounded;
    Allocation made{uintptr_t(p), uintptr_t(p) + bytes, nullptr, map};
    if (checked) {
        memset(p, 0xff, rounded);  // NaN, if anybody reads it
        made.shadow = new Shadow(bytes);
        if (!made.shadow->good()) {
            delete made.shadow;
            munmap(map.low, map.bytes());
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
        const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
        if (mmap(gone.map.low + gone.map.gap, gone.map.body, PROT_NONE, how, -1, 0) != MAP_FAILED) {
            freed.push_back(gone);
            if (freed.size() <= FREED_MOST) return;
            gone = freed.front();
            freed.pop_front();
        }
    } else if (spare_bytes + gone.map.body <= MOST_SPARE) {
        spare.insert({gone.map.body, gone.map});
        spare_bytes += gone.map.body;
        return;
    }
    munmap(gone.map.low, gone.map.bytes());
}

extern "C" size_t sim_arrays()  // how many are alive
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    return allocations.size();
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
