/* The files that are inside the program: the Lua library, the stock plans and small data sets. The
 * table is written at build time by tools/embed.c from every .lua file below lua/ and plans/, and
 * from every file of lua/data/. */
#ifndef TD_LUA_EMBEDDED_H
#define TD_LUA_EMBEDDED_H

#include <stddef.h>

struct td_embedded {
    /* Path in the source tree, "lua/nn.lua"; NULL after the last one. */
    const char *name;
    /* As in the file; a zero byte follows that `size` does not count. */
    const unsigned char *data;
    size_t size;
};

/* Sorted by name (strcmp). */
extern const struct td_embedded td_embedded_files[];

#endif
