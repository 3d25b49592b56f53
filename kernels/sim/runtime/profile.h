// profile.h - how a kernel uses memory: what the 32 threads of a warp ask for at once, instruction by instruction.
//
// A GPU executes a load or a store for a whole warp: one request. From global memory it fetches sectors of 32 bytes, so
// a request costs as many as its lanes touch. Shared memory has 32 banks, each of which gives one word of 4 bytes at a
// time; lanes that want different words of one bank wait for each other, lanes that want the same word share it. 8-byte
// accesses are served in halves of a warp, 16-byte ones in quarters, each a request of its own to the banks.
//
// Here threads run one after another. So each writes down what it does: its accesses, and the blocks of instructions that
// it passes (g++ calls us in each of them). When a warp's lanes meet, or the block ends, that is played back as a warp
// would do it: of all places where lanes are, the first one in the text has its turn, for all lanes that are there.
// Lanes that skip a branch thus wait behind it, and those that leave a loop early behind the loop. GPUs do much the same;
// where exactly lanes of divergent code come together again is their own business, so there it is an estimate.
//
// It is a model: caches are seen in their two extremes only, one that holds all of a launch (each sector counts once)
// and one that holds what one block uses (each sector counts once for each block).
#pragma once

enum Access : uint32_t { LOAD, STORE, ATOMIC };

struct Site {  // an instruction that goes to memory, with all that it did; ProfiledSite in profile.py
    uint64_t pc;
    const char* file;  // where C++ told the place (TOLD), else null
    uint32_t line, space, access, bytes;  // of one lane
    uint64_t requests, lanes;
    uint64_t sectors, least_sectors;      // global memory: touched; if the same bytes lay side by side
    uint64_t turns, least_turns;          // shared memory: what the banks took; with no two words in one bank
    uint32_t worst;                       // words of one bank in one request
    uint32_t example_warp;                // of a request that tells much, see count()
    uint64_t example_block;
    uint64_t example[32];                 // what its lanes asked for: number of the array << 40 | byte
    uint32_t example_mask, example_turns;
};

struct Touched {  // an array in global memory; ProfiledArray in profile.py
    uintptr_t low, high;
    uint64_t sectors[2], by_block[2];  // loaded from memory, stored
};

struct Request {
    uint64_t at[32];
    uint32_t mask;
};
struct Event {      // of one thread
    uint64_t place;  // where in the text: of two, the smaller one comes first
    uint64_t at;     // what it asks for
    uint32_t site;   // NO_ACCESS: it only passes
};
struct ProfiledThread {
    std::vector<Event> events;   // since the warp's lanes last met
    uint64_t place = 0, call = 0;  // of the last event; where the kernel called the function that runs
    uint32_t depth = 0;          // of calls; 1 is the kernel itself
};
static const uint32_t NO_ACCESS = ~0u;

static struct Profile {
    std::map<std::pair<uint64_t, uint32_t>, uint32_t> numbers;  // of sites, by pc, and space, access, bytes
    std::vector<Site> sites;
    std::vector<Touched> arrays;
    std::vector<std::vector<uint32_t>> last_block[2];           // by array and sector: the last block that was here, + 1
    std::vector<ProfiledThread> threads;
    uint32_t met[32] = {};                                      // by warp: when its lanes last met
    uint32_t recent_warp = 0;
    uint64_t recent_pc = 0;                                     // most accesses come from the few sites of a loop
    uint32_t recent_key = 0, recent_site = 0, recent_array = 0;
} profile;

static void begin_profile() { profile = {}; }

static uint32_t site_number(uint64_t pc, uint32_t space, uint32_t access, uint32_t bytes)
{
    const uint32_t key = space | access << 4 | bytes << 8;
    if (profile.recent_pc == pc && profile.recent_key == key && !profile.sites.empty()) return profile.recent_site;
    const auto [found, fresh] = profile.numbers.insert({{pc, key}, uint32_t(profile.sites.size())});
    if (fresh) {
        Site site{};
        site.pc = pc, site.space = space, site.access = access, site.bytes = bytes;
        if (pc & TOLD) site.file = told[pc & ~TOLD].first, site.line = told[pc & ~TOLD].second;
        profile.sites.push_back(site);
    }
    profile.recent_pc = pc, profile.recent_key = key;
    return profile.recent_site = found->second;
}

// Arrays of a GPU begin at multiples of 256, so a byte's place in its array says all that matters of its address.
static bool array_number(uintptr_t a, uint32_t& number)
{
    const auto holds = [&](uint32_t i) { return a >= profile.arrays[i].low && a < profile.arrays[i].high; };
    const uint32_t known = uint32_t(profile.arrays.size());
    number = profile.recent_array;
    if (number < known && holds(number)) return true;
    for (number = 0; number < known && !holds(number);) ++number;
    if (number == known) {
        const Allocation* found = allocation_at(a);
        if (!found) return false;  // a table of numbers that the compiler has made
        profile.arrays.push_back({found->low, found->high, {0, 0}, {0, 0}});
        for (auto& blocks : profile.last_block) blocks.emplace_back((found->high - found->low + 31) / 32);
    }
    profile.recent_array = number;
    return true;
}

static void touch(const Worker* w, uint64_t sector, uint32_t access)
{
    const uint32_t number = uint32_t(sector >> 35);
    const uint64_t i = sector & ((uint64_t(1) << 35) - 1);
    Touched& array = profile.arrays[number];
    uint32_t &loaded = profile.last_block[0][number][i], &stored = profile.last_block[1][number][i];
    const uint32_t own = w->block + 1;
    if (access != STORE) {
        array.sectors[0] += !loaded && !stored;  // what was stored before is still in the cache
        array.by_block[0] += loaded != own && stored != own;
        loaded = own;
    }
    if (access != LOAD) {
        array.sectors[1] += !stored;
        array.by_block[1] += stored != own;
        stored = own;
    }
}

static void count_sectors(const Worker* w, Site& site, const Request& r)
{
    uint64_t sorted[32];
    int n = 0;
    for (int lane = 0; lane < 32; ++lane) {
        if (!(r.mask >> lane & 1)) continue;
        int i = n++;
        for (; i > 0 && sorted[i - 1] > r.at[lane]; --i) sorted[i] = sorted[i - 1];
        sorted[i] = r.at[lane];
    }
    uint64_t bytes = 0, end = 0, next = 0;  // the first byte, and the first sector, that are not counted yet
    for (int i = 0; i < n; ++i) {
        const uint64_t last = sorted[i] + site.bytes;
        if (last > end) bytes += last - std::max(end, sorted[i]);
        end = std::max(end, last);
        for (uint64_t sector = std::max(next, sorted[i] >> 5); sector <= (last - 1) >> 5; next = ++sector) {
            site.sectors++;
            if (site.space == GLOBAL) touch(w, sector, site.access);
        }
    }
    site.least_sectors += (bytes + 31) / 32;
}

static uint32_t count_turns(Site& site, const Request& r)  // returns how often the busiest bank was asked
{
    const uint32_t words = std::max(1u, (site.bytes + 3) / 4), lanes = 32 / words;
    uint32_t worst = 0;
    for (uint32_t first = 0; first < 32; first += lanes) {
        uint64_t wanted[32][32];
        uint32_t count[32] = {}, most = 0;
        for (uint32_t lane = first; lane < first + lanes; ++lane) {
            if (!(r.mask >> lane & 1)) continue;
            for (uint64_t word = r.at[lane] / 4; word <= (r.at[lane] + site.bytes - 1) / 4; ++word) {
                uint64_t* own = wanted[word % 32];
                uint32_t& n = count[word % 32];
                uint32_t i = 0;
                while (i < n && own[i] != word) ++i;
                if (i == n && n < 32) own[n++] = word;
                most = std::max(most, n);
            }
        }
        site.turns += most;
        site.least_turns += most > 0;
        worst = std::max(worst, most);
    }
    site.worst = std::max(site.worst, worst);
    return worst;
}

static uint64_t middle_block(const Worker* w)
{
    const sim_dim& grid = w->launch->grid;
    return uint64_t(grid.x) * grid.y * grid.z / 2;
}

static void count(const Worker* w, uint32_t warp, Site& site, const Request& r)
{
    const bool shared = site.space == SHARED || site.space == DYNAMIC;
    const uint32_t lanes = __builtin_popcount(r.mask);
    uint32_t turns = 0;
    if (shared) turns = count_turns(site, r);
    else count_sectors(w, site, r);
    site.requests++;
    site.lanes += lanes;
    // an example that tells much: of the worst conflict, of all lanes, and from the middle of the grid, not from a border
    const auto worth = [&](uint32_t turns, uint32_t lanes, uint64_t block) {
        return (turns * 64 + lanes) * 2 + (block == middle_block(w));
    };
    const uint32_t before = worth(site.example_turns, __builtin_popcount(site.example_mask), site.example_block);
    if (worth(turns, lanes, w->block) <= before && site.example_mask) return;
    site.example_block = w->block, site.example_warp = warp;
    site.example_mask = r.mask, site.example_turns = turns;
    memcpy(site.example, r.at, sizeof r.at);
}

static void count_warp(const Worker* w, uint32_t number)  // its lanes meet: play back what they did until here
{
    ProfiledThread* lanes = profile.threads.data() + number * 32;
    uint32_t next[32] = {};
    for (;;) {
        uint64_t place = ~uint64_t(0);
        uint32_t site = NO_ACCESS;
        for (int lane = 0; lane < 32; ++lane) {
            if (next[lane] == lanes[lane].events.size()) continue;
            const Event& e = lanes[lane].events[next[lane]];
            if (e.place < place) place = e.place, site = e.site;
            else if (e.place == place) site = std::min(site, e.site);
        }
        if (place == ~uint64_t(0)) break;
        Request r;
        r.mask = 0;
        for (int lane = 0; lane < 32; ++lane) {
            if (next[lane] == lanes[lane].events.size()) continue;
            const Event& e = lanes[lane].events[next[lane]];
            if (e.place != place || e.site != site) continue;
            r.at[lane] = e.at;
            r.mask |= 1u << lane;
            next[lane]++;
        }
        if (site != NO_ACCESS) count(w, number, profile.sites[site], r);
    }
    for (int lane = 0; lane < 32; ++lane) lanes[lane].events.clear();
}

static void end_profiled_block(const Worker* w)
{
    for (uint32_t i = 0; i < profile.threads.size() / 32; ++i) count_warp(w, i);
    for (ProfiledThread& t : profile.threads) t.place = t.call = t.depth = 0;
}

static bool has_ended(const Worker* w, uint32_t warp)
{
    for (int i = warp * 32; i < int(warp + 1) * 32 && i < sim_count; ++i)
        if (w->threads[i].status != DONE) return false;
    return true;
}

// The running thread, after what its warp did before its lanes met, or before it ended, has been counted.
static ProfiledThread& profiled_thread(const Worker* w)
{
    const uint32_t warp = w->current >> 5, met = std::max(w->block_time, w->threads[w->current].warp_time);
    if (profile.threads.size() <= size_t(w->current)) profile.threads.resize((warp + 1) * 32);
    if (profile.recent_warp != warp && has_ended(w, profile.recent_warp)) count_warp(w, profile.recent_warp);
    profile.recent_warp = warp;
    if (met > profile.met[warp]) {
        count_warp(w, warp);
        profile.met[warp] = met;
    }
    return profile.threads[w->current];
}

// Inside of a function that is not inlined, all is at the place of its call first, and in the function's order then. Of
// atomics only the line is known: they come right behind the last event.
static uint64_t place_of(const ProfiledThread& t, uint64_t pc)
{
    if (pc & TOLD) return t.place | 1;
    return t.depth > 1 ? t.call << 33 | pc << 1 : pc << 33;
}

static void note_event(ProfiledThread& t, uint64_t pc, uint64_t at, uint32_t site)
{
    t.place = place_of(t, pc);
    t.events.push_back({t.place, at, site});
}

static void profile_access(const Worker* w, uintptr_t a, size_t bytes, bool write, bool atomic, size_t pc)
{
    Kind space;
    uint64_t at;
    uint32_t array;
    if (w->shared.holds(a)) space = SHARED, at = a - w->shared.low;
    else if (w->dynamic.holds(a)) space = DYNAMIC, at = a - w->dynamic.low;
    else if (w->data.holds(a)) space = VARIABLE, at = a - w->data.low;
    else if (array_number(a, array)) space = GLOBAL, at = uint64_t(array) << 40 | (a - profile.arrays[array].low);
    else return;

    const uint32_t site = site_number(pc, space, atomic ? ATOMIC : write ? STORE : LOAD, uint32_t(bytes));
    note_event(profiled_thread(w), pc, at, site);
}

static ProfiledThread* if_profiled()  // and a kernel runs: while a thread waits, our own code may call the next one
{
    const Worker* w = worker;
    if (!w || w->current < 0 || !(w->launch->mode & PROFILED)) return nullptr;
    return w->threads[w->current].status == RUNNING ? &profiled_thread(w) : nullptr;
}
#define HERE (uintptr_t(__builtin_return_address(0)) - 1 - text_base)
extern "C" void __sanitizer_cov_trace_pc()
{
    if (ProfiledThread* t = if_profiled()) note_event(*t, HERE, 0, NO_ACCESS);
}
extern "C" void __tsan_func_entry(void* caller)
{
    if (ProfiledThread* t = if_profiled())
        if (++t->depth == 2) t->call = uintptr_t(caller) - 1 - text_base;
}
extern "C" void __tsan_func_exit()
{
    if (ProfiledThread* t = if_profiled()) t->depth -= t->depth > 0;
}

extern "C" uint32_t sim_profiled_sites(const Site** sites)
{
    *sites = profile.sites.data();
    return uint32_t(profile.sites.size());
}
extern "C" uint32_t sim_profiled_arrays(const Touched** arrays)
{
    *arrays = profile.arrays.data();
    return uint32_t(profile.arrays.size());
}
