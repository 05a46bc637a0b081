/* Tells Lua's collector about memory that it does not see: tensor data, headers, objects at workers.
 *
 * The collector knows a tensor as 40 bytes of userdata. Here the bytes handed out are watched, and runs are
 * made when they are worth it. The collector is generational. A run over what was made since the last one
 * costs next to nothing and comes often: the temporaries of a loop die while their memory is in the cache,
 * and the next ones get it. It leaves the userdata themselves (whoever had a finalizer is freed by a full run
 * only), and all that lived through two runs; a full run comes when such things may hold much. That one
 * costs time in proportion to the Lua heap (about 0.2 us a KB), so a big heap raises its threshold. */
#include "lua/host.h"
#include "runtime/mem.h"

#define MIB ((uint64_t)1 << 20)
/* A full run for fewer userdata is not worth it; more, and they leave the cache. */
#define HANDLES 4096
/* A run over the young ones at the latest for so many handles and bytes. */
#define YOUNG_HANDLES 64
#define YOUNG_BYTES (MIB / 4)
/* But not for fewer handles, unless they hold very much: a run after each operation on large tensors
 * would find every value of the step alive twice, and keep it until the next full run. */
#define YOUNG_LEAST 12
#define YOUNG_MOST (32 * MIB)

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t heap_bytes(lua_State *L) {
    return (uint64_t)lua_gc(L, LUA_GCCOUNT) * 1024;
}

/* What tensors hold that were not there after the last full run. */
static uint64_t grown_bytes(const tdl_host *h) {
    uint64_t live = td_data_live_bytes();
    return live > h->seen_live_bytes ? live - h->seen_live_bytes : 0;
}

static bool is_full_due(lua_State *L, const tdl_host *h, bool idle) {
    td_away_account away = td_away();
    uint64_t objects = away.total_objects - h->seen_away_objects;
    uint64_t away_bytes = away.total_bytes - h->seen_away_bytes;
    if (idle)
        return td_data_total_bytes() - h->seen_bytes >= 8 * MIB ||
               h->handles >= HANDLES || objects >= 64 || away_bytes >= 8 * MIB;
    uint64_t grown = grown_bytes(h);
    if (grown >= 64 * MIB || h->handles >= HANDLES) {
        uint64_t heap = heap_bytes(L);
        if (grown >= larger(64 * MIB, larger(td_data_live_bytes() / 2, 8 * heap)) ||
            h->handles >= larger(HANDLES, heap / 1024))
            return true;
    }
    return objects >= larger(1024, away.live_objects / 2) ||
           (away_bytes >= 64 * MIB && away_bytes >= away.live_bytes / 2);
}

/* A table that changes is looked through by each run, however long it is: a big heap raises these too. */
static void set_young(lua_State *L, tdl_host *h) {
    uint64_t heap = heap_bytes(L);
    h->young_bytes = td_data_total_bytes() + larger(YOUNG_BYTES, heap / 2);
    h->young_handles = h->handles + larger(YOUNG_HANDLES, heap / 8192);
    h->young_least = h->handles + YOUNG_LEAST;
}

static bool is_young_due(const tdl_host *h) {
    if (h->handles >= h->young_handles) return true;
    uint64_t bytes = td_data_total_bytes();
    if (bytes < h->young_bytes) return false;
    return h->handles >= h->young_least || bytes - h->young_bytes >= YOUNG_MOST;
}

static void run_full(lua_State *L, tdl_host *h) {
    lua_gc(L, LUA_GCCOLLECT);
    td_away_account away = td_away();
    h->seen_bytes = td_data_total_bytes();
    h->seen_live_bytes = td_data_live_bytes();
    h->seen_away_bytes = away.total_bytes;
    h->seen_away_objects = away.total_objects;
    h->handles = 0;
    set_young(L, h);
}

void tdl_collect(lua_State *L, bool idle) { /* [-0, +0, m] */
    tdl_host *h = tdl_host_of(L);
    if (is_full_due(L, h, idle)) {
        run_full(L, h);
    } else if (is_young_due(h)) {
        lua_gc(L, LUA_GCSTEP, 0);
        set_young(L, h);
    }
}
