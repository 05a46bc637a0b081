/* Settings: a Lua file that can only make a table, and the reading of that table's fields with errors that
 * name the file, the field, and what was wanted. Knows nothing of workers; gateways will be read so, too. */
#ifndef TD_NET_SETTINGS_H
#define TD_NET_SETTINGS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

/* Reads and runs the file in a state of its own, which has no library at all, only text chunks, bounded
 * steps (10 million) and memory (16 MiB). The table it returned is at index 1. NULL on errors: NOT_FOUND,
 * IO, SCRIPT (which names the line), LIMIT, MEMORY. */
lua_State *td_settings_open(const char *path, td_err *err);
void td_settings_close(lua_State **L);

/* Where a field stands: "bob.lua" and "limits", say. The table is at the top of the stack. */
typedef struct td_section {
    lua_State *L;
    const char *file;   /* its base name, for messages */
    const char *prefix; /* "limits." or "" */
    td_err *err;
    bool failed; /* the first error stays; everything after it gives defaults */
} td_section;

/* Refuses fields that are not in names (NULL ends them): "bob.lua: unknown field 'lissten', did you mean
 * 'listen'?" */
void td_section_check(td_section *s, const char *const *names);
/* The fields' values. A missing one: an error when wanted, otherwise the default stays. Texts longer than
 * the room are refused. */
void td_section_text(td_section *s, const char *name, bool wanted, char *text,
                     size_t room);
void td_section_count(td_section *s, const char *name, int64_t least, int64_t most,
                      int64_t *value);
/* 200, "200M", "1.5G": bytes; K, M, G, T are powers of 1024. */
void td_section_bytes(td_section *s, const char *name, uint64_t least, uint64_t most,
                      uint64_t *value);
/* Pushes the table of that name, or returns false with nothing pushed. */
bool td_section_enter(td_section *s, const char *name, bool wanted);
/* Sets the error and failed: "bob.lua: limits.memory: ...". */
void td_section_fail(td_section *s, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* path as seen from the folder of the file that names it, into out. LIMIT when it does not fit. */
int td_settings_path(const char *file, const char *path, char *out, size_t room,
                     td_err *err);

#endif
