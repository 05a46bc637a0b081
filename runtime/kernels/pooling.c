/* Pooling: picks the loops and cuts the work into units. Called by the ops of vm/ops/pool.c. */
#include "runtime/kernels/pooling.h"

#include "runtime/cpu.h"
#include "runtime/pool.h"

TD_LEVEL_DECLARE(td_pooling_table, td_pooling_table);

/* A piece reads about so many elements at least. */
#define PIECE 32768

typedef enum action { MAX, MAX_BACK, AVG, AVG_BACK } action;

typedef struct job {
    const td_pooling *p;
    const td_pooling_loops *loops;
    action what;
    int64_t units, each;      /* units in all, and in a piece */
    int64_t x_bytes, y_bytes; /* of a unit */
    int64_t y_count;          /* elements of a unit's y */
    const char *from;
    char *to;
    int32_t *index;
} job;

static void run_unit(const job *j, int64_t unit) {
    bool back = j->what == MAX_BACK || j->what == AVG_BACK;
    const char *from = j->from + unit * (back ? j->y_bytes : j->x_bytes);
    char *to = j->to + unit * (back ? j->x_bytes : j->y_bytes);
    int32_t *index = j->index ? j->index + unit * j->y_count : NULL;
    switch (j->what) {
    case MAX: j->loops->max(j->p, from, to, index); break;
    case MAX_BACK: j->loops->max_back(j->p, from, index, to); break;
    case AVG: j->loops->avg(j->p, from, to); break;
    default: j->loops->avg_back(j->p, from, to);
    }
}

static void run_piece(void *ctx, int64_t i) {
    const job *j = ctx;
    int64_t end = (i + 1) * j->each < j->units ? (i + 1) * j->each : j->units;
    for (int64_t unit = i * j->each; unit < end; unit++) run_unit(j, unit);
}

static void run(const td_pooling *p, td_dtype t, action what, const void *from, void *to,
                int32_t *index) {
    int64_t bytes = (int64_t)td_dtype_bytes(t),
            planes = p->channels_last ? p->channels : 1;
    job j = {.p = p,
             .loops = &(*TD_LEVEL_PICK(td_pooling_table))[t == TD_F64][p->channels_last],
             .what = what,
             .units = p->channels_last ? p->images : p->images * p->channels,
             .y_count = planes * p->oh * p->ow,
             .from = from,
             .to = to,
             .index = index};
    int64_t x_count = planes * p->h * p->w;
    if (j.units == 0 || x_count == 0) return;
    j.x_bytes = x_count * bytes;
    j.y_bytes = j.y_count * bytes;
    j.each = x_count < PIECE ? PIECE / x_count : 1;
    td_pool_run(run_piece, &j, (j.units + j.each - 1) / j.each);
}

void td_max_pool(const td_pooling *p, td_dtype t, const void *x, void *y,
                 int32_t *index) {
    run(p, t, MAX, x, y, index);
}

void td_max_pool_back(const td_pooling *p, td_dtype t, const void *dy,
                      const int32_t *index, void *dx) {
    run(p, t, MAX_BACK, dy, dx, (int32_t *)(uintptr_t)index);
}

void td_avg_pool(const td_pooling *p, td_dtype t, const void *x, void *y) {
    run(p, t, AVG, x, y, NULL);
}

void td_avg_pool_back(const td_pooling *p, td_dtype t, const void *dy, void *dx) {
    run(p, t, AVG_BACK, dy, dx, NULL);
}
