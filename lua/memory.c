/* Tells Lua's collector about memory that it does not see: tensor data, headers, objects at workers.
 *
 * The collector knows a tensor as 40 bytes of userdata. Here the bytes handed out since the last full
 * run are watched, and another run is made when they are worth it: dead tensors can then never hold more
 * than the threshold. A run costs time in proportion to the Lua heap (about 0.2 us a KB), so a big heap raises it. */
#include "lua/host.h"
#include "runtime/mem.h"

#define MIB ((uint64_t)1 << 20)
/* A run for fewer is not worth it; more, and their headers leave the cache. */
#define HANDLES 4096

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static bool is_due(lua_State *L, tdl_host *h, bool idle) {
    uint64_t made = td_data_total_bytes() - h->seen_bytes;
    td_away_account away = td_away();
    uint64_t objects = away.total_objects - h->seen_away_objects;
    uint64_t away_bytes = away.total_bytes - h->seen_away_bytes;
    if (made < 8 * MIB && h->handles < HANDLES && objects < 64 && away_bytes < 8 * MIB)
        return false;
    if (idle) return true;
    if (made >= 64 * MIB || h->handles >= HANDLES) {
        uint64_t lua_heap = (uint64_t)lua_gc(L, LUA_GCCOUNT) * 1024;
        if (made >= larger(64 * MIB, larger(td_data_live_bytes() / 2, 8 * lua_heap)))
            return true;
        if (h->handles >= larger(HANDLES, lua_heap / 1024)) return true;
    }
    return objects >= larger(1024, away.live_objects / 2) ||
           (away_bytes >= 64 * MIB && away_bytes >= away.live_bytes / 2);
}

void tdl_collect(lua_State *L, bool idle) { /* [-0, +0, m] */
    tdl_host *h = tdl_host_of(L);
    if (!is_due(L, h, idle)) return;
    lua_gc(L, LUA_GCCOLLECT);
    td_away_account away = td_away();
    h->seen_bytes = td_data_total_bytes();
    h->seen_away_bytes = away.total_bytes;
    h->seen_away_objects = away.total_objects;
    h->handles = 0;
}
