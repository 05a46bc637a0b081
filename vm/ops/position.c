/* Checks of positions and labels. */
#include "vm/ops/position.h"

#include "runtime/loop.h"

int td_position_resolve(const char *call, int64_t pos, int dim, int64_t size,
                        int64_t *out, td_err *err) {
    int64_t at = pos < 0 ? pos + size : pos;
    if (at < 0 || at >= size)
        return td_fail(err, TD_E_INDEX, call,
                       "position %lld of dimension %d, which has %lld",
                       (long long)(pos < 0 || pos == INT64_MAX ? pos : pos + 1), dim + 1,
                       (long long)size);
    *out = at;
    return 0;
}

/* The first entry outside [least, most], or at 0 when that is forbidden, ends the search. */
typedef struct search {
    td_dtype dtype;
    int64_t least, most, bad;
    bool zero_is_bad, found;
} search;

static void search_run(int64_t n, char *const *ptr, const int64_t *stride,
                       const void *ctx) {
    search *s = *(search *const *)ctx;
    if (s->dtype == TD_I64 && stride[0] == sizeof(int64_t) && !s->zero_is_bad) {
        const int64_t *v = (const int64_t *)(const void *)ptr[0];
        uint64_t span = (uint64_t)s->most - (uint64_t)s->least, bad = s->most < s->least;
        for (int64_t i = 0; i < n; i++) bad |= (uint64_t)v[i] - (uint64_t)s->least > span;
        if (!bad) return; /* the loop below finds which */
    }
    if (s->dtype == TD_I32 && stride[0] == sizeof(int32_t) && !s->zero_is_bad) {
        const int32_t *v = (const int32_t *)(const void *)ptr[0];
        const int64_t least = s->least < INT32_MIN ? INT32_MIN : s->least,
                      most = s->most > INT32_MAX ? INT32_MAX : s->most;
        uint32_t span = (uint32_t)(most - least), bad = most < least;
        for (int64_t i = 0; i < n; i++) bad |= (uint32_t)v[i] - (uint32_t)least > span;
        if (!bad) return;
    }
    for (int64_t i = 0; i < n && !s->found; i++) {
        int64_t v = td_load_i64(s->dtype, ptr[0] + i * stride[0]);
        if (v >= s->least && v <= s->most && !(v == 0 && s->zero_is_bad)) continue;
        s->bad = v;
        s->found = true;
    }
}

static bool run_search(td_tensor *ids, search *s) {
    td_loop loop;
    s->dtype = ids->dtype;
    td_loop_init(&loop, &ids->shape, &ids, 1);
    td_loop_run(&loop, search_run, &s);
    return s->found;
}

bool td_finds_outside(td_tensor *ids, int64_t least, int64_t most, int64_t *bad) {
    search s = {.least = least, .most = most};
    if (!run_search(ids, &s)) return false;
    *bad = s.bad;
    return true;
}

int td_positions_dtype(const char *call, td_dtype t, td_err *err) {
    if (t == TD_I64 || t == TD_I32) return 0;
    td_fail(err, TD_E_DTYPE, call, "positions are i64 or i32, got %s", td_dtype_name(t));
    if (t == TD_BOOL) td_hint(err, "a mask selects with x[mask]");
    return TD_E_DTYPE;
}

int td_positions_check(const char *call, td_tensor *ids, int dim, int64_t size,
                       td_err *err) {
    search s = {.least = -size, .most = size, .zero_is_bad = true};
    if (!run_search(ids, &s)) return 0;
    return td_fail(err, TD_E_INDEX, call, "position %lld of dimension %d, which has %lld",
                   (long long)s.bad, dim + 1, (long long)size);
}

int td_labels_dtype(const char *call, td_dtype t, td_err *err) {
    if (t == TD_I64 || t == TD_I32 || t == TD_U8) return 0;
    return td_fail(err, TD_E_DTYPE, call, "labels are i64, i32 or u8, got %s",
                   td_dtype_name(t));
}

int td_labels_check(const char *call, td_tensor *labels, int64_t classes, td_err *err) {
    int64_t bad;
    if (!td_finds_outside(labels, 0, classes - 1, &bad)) return 0;
    return td_fail(err, TD_E_INDEX, call,
                   "label %lld with %lld classes (labels count from 0)", (long long)bad,
                   (long long)classes);
}

td_tensor *td_labels_plain(td_tensor *labels, td_err *err) {
    if (labels->dtype == TD_I64) return td_tensor_contiguous(labels, err);
    td_tensor *copy = td_tensor_new(TD_I64, &labels->shape, err);
    if (copy) td_tensor_copy(copy, labels);
    return copy;
}
