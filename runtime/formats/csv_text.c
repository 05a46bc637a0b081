/* Text columns become codes. By sorting: a hash table could be flooded by a hostile file. */
#include <stdlib.h>
#include <string.h>

#include "runtime/formats/csv.h"
#include "runtime/mem.h"

#define MOST_CATEGORIES (1u << 20)

/* Doubled quotes do not disturb the order: they are doubled on both sides. */
static int compare(const td_csv_cell *x, const td_csv_cell *y) {
    size_t n = x->count < y->count ? x->count : y->count;
    int order = n ? memcmp(x->at, y->at, n) : 0;
    return order ? order : (x->count > y->count) - (x->count < y->count);
}

static int by_text(const void *a, const void *b) {
    const td_csv_cell *x = a, *y = b;
    int order = compare(x, y);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

int td_csv_encode(td_csv_cell *cell, size_t count, int64_t *code, char ***category,
                  size_t *categories, td_err *err) {
    qsort(cell, count, sizeof *cell, by_text);
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare(&cell[i - 1], &cell[i]) != 0) {
            n++;
            bytes += cell[i].count + 1;
        }
        code[cell[i].row] = (int64_t)n - 1;
    }
    if (n > MOST_CATEGORIES)
        return td_fail(err, TD_E_LIMIT, "", "has %zu different texts, %u are allowed", n,
                       MOST_CATEGORIES);
    char **list = td_new_bytes(n * sizeof *list + bytes);
    if (list == NULL) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    char *text = (char *)(list + n);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && code[cell[i].row] == code[cell[i - 1].row]) continue;
        /* An unquoted field holds no quote, so all may be undoubled alike. */
        td_csv_field f = {.at = cell[i].at, .count = cell[i].count, .is_quoted = true};
        list[code[cell[i].row]] = text;
        text += td_csv_text(&f, text) + 1;
    }
    *category = list;
    *categories = n;
    return 0;
}
