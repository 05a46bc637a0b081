/* What a compiled function's programs do, for lua/inspect.lua: the figures as a table, the texts. */
#include <string.h>

#include "lua/compile.h"
#include "runtime/mem.h"
#include "vm/inspect.h"

/* The program that the function at 1 used last but `which` (at 2, from 1); NULL when there is none. */
static td_compiled *program_at(lua_State *L) { /* [-0, +0, e] */
    lua_Integer which = luaL_checkinteger(L, 2);
    return which >= 1 && which <= INT32_MAX ? tdl_compiled_at(L, 1, (int)which - 1)
                                            : NULL;
}

static void set_number(lua_State *L, const char *name, double v) { /* [-0, +0, m] */
    if (v < 0x1p53)
        lua_pushinteger(L, (lua_Integer)v);
    else
        lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void push_meta(lua_State *L, const td_meta *m) { /* [-0, +1, m] */
    lua_createtable(L, 0, 2);
    lua_pushstring(L, td_dtype_name(m->dtype));
    lua_setfield(L, -2, "dtype");
    lua_createtable(L, m->shape.ndim, 0);
    for (int d = 0; d < m->shape.ndim; d++) {
        lua_pushinteger(L, (lua_Integer)m->shape.dim[d]);
        lua_rawseti(L, -2, d + 1);
    }
    lua_setfield(L, -2, "size");
}

static void push_operations(lua_State *L, const td_report *r) { /* [-0, +1, m] */
    lua_createtable(L, (int)r->row_count, 0);
    for (uint32_t i = 0; i < r->row_count; i++) {
        const td_report_row *row = &r->row[i];
        lua_createtable(L, 0, 5);
        lua_pushstring(L, row->op->name);
        lua_setfield(L, -2, "name");
        set_number(L, "count", row->count);
        set_number(L, "flops", row->flops);
        set_number(L, "bytes_read", row->read_bytes);
        set_number(L, "bytes_written", row->written_bytes);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_values(lua_State *L, const td_program *p) { /* [-0, +2, m] */
    lua_createtable(L, (int)p->input_count, 0);
    for (uint32_t v = 0; v < p->input_count; v++) {
        push_meta(L, &p->value[v].meta);
        lua_pushboolean(L, p->value[v].assigned);
        lua_setfield(L, -2, "assigned");
        lua_rawseti(L, -2, (lua_Integer)v + 1);
    }
    lua_createtable(L, (int)p->output_count, 0);
    for (uint32_t k = 0; k < p->output_count; k++) {
        push_meta(L, &p->value[p->output[k]].meta);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
}

/* What report_body needs; the report lives in C while Lua may raise. */
typedef struct filling {
    const td_program *p;
    const td_report *r;
} filling;

static int report_body(lua_State *L) { /* [-1, +1, m] */
    const filling *f = lua_touserdata(L, 1);
    lua_createtable(L, 0, 12);
    push_operations(L, f->r);
    lua_setfield(L, -2, "operations");
    push_values(L, f->p);
    lua_setfield(L, -3, "outputs");
    lua_setfield(L, -2, "inputs");
    set_number(L, "count", f->r->instr_count);
    set_number(L, "flops", f->r->flops);
    set_number(L, "bytes_read", f->r->read_bytes);
    set_number(L, "bytes_written", f->r->written_bytes);
    set_number(L, "memory", (double)f->r->memory_bytes);
    set_number(L, "steps", f->r->steps);
    return 1;
}

/* compiled_report(step, which): a table of figures; nil when there is no such program. */
static int core_compiled_report(lua_State *L) { /* [-2, +1, e] */
    td_err err = {0};
    td_compiled *c = program_at(L);
    if (c == NULL) return 0;
    filling f = {.p = td_compiled_program(c)};
    td_report *r = td_inspect(f.p, td_compiled_plan(c), &err);
    if (r == NULL) return tdl_raise(L, &err);
    f.r = r;
    lua_pushcfunction(L, report_body);
    lua_pushlightuserdata(L, &f);
    int rc = lua_pcall(L, 1, 1, 0);
    td_report_free(&r);
    return rc == LUA_OK ? 1 : lua_error(L);
}

static char *make_text(const td_compiled *c, const char *format) {
    const td_program *p = td_compiled_program(c);
    const td_plan *plan = td_compiled_plan(c);
    if (strcmp(format, "dot") == 0) return td_inspect_dot(p);
    if (strcmp(format, "svg") == 0) return td_inspect_svg(p);
    if (strcmp(format, "program") == 0) return td_program_text(p);
    if (strcmp(format, "plan") == 0) return td_plan_text(plan);
    return td_inspect_text(p, plan);
}

static int push_text(lua_State *L) { /* [-1, +1, m] */
    lua_pushstring(L, lua_touserdata(L, 1));
    return 1;
}

/* compiled_text(step, which, format): "text", "dot", "svg", "program" or "plan"; nil when there is no such
 * program. */
static int core_compiled_text(lua_State *L) { /* [-3, +1, e] */
    td_compiled *c = program_at(L);
    const char *format = luaL_checkstring(L, 3);
    if (c == NULL) return 0;
    char *text = make_text(c, format);
    if (text == NULL) return tdl_fail(L, TD_E_MEMORY, "inspect", "out of memory");
    lua_pushcfunction(L, push_text);
    lua_pushlightuserdata(L, text);
    int rc = lua_pcall(L, 1, 1, 0);
    td_free(text);
    return rc == LUA_OK ? 1 : lua_error(L);
}

void tdl_open_inspect(lua_State *L) { /* [-0, +0, m] */
    static const luaL_Reg functions[] = {{"compiled_report", core_compiled_report},
                                         {"compiled_text", core_compiled_text},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
