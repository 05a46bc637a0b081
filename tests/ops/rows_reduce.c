/* Rows of the reductions. */
#include "tests/ops/rows.h"

/* ---- over dims (attribute 0) with keepdim (attribute 1) ---- */

typedef double reduction(const double *v, int64_t n, const td_attrs *a);

/* Collects what goes into each result, in order, and hands it to f. */
static void reduce(const rt *x, const td_attrs *a, reduction *f, rt *out) {
    bool gone[TD_MAX_DIM] = {false};
    for (int d = 0; d < x->ndim; d++) gone[d] = a->v[0].n == 0;
    for (int i = 0; i < a->v[0].n; i++) gone[a->v[0].list[i]] = true;
    int64_t keep[TD_MAX_DIM], left[TD_MAX_DIM], n = 1;
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++) {
        keep[d] = gone[d] ? 1 : x->dim[d];
        if (gone[d]) n *= x->dim[d];
        if (!gone[d] || a->v[1].i) left[ndim++] = keep[d];
    }
    rt_new(out, ndim, left);
    rt kept = {.ndim = x->ndim};
    for (int d = 0; d < x->ndim; d++) kept.dim[d] = keep[d];
    double *v = calloc((size_t)n + 1, sizeof *v);
    for (int64_t o = 0; o < rt_numel(out); o++) {
        int64_t count = 0, index[TD_MAX_DIM];
        for (int64_t i = 0; i < rt_numel(x); i++) {
            rt_index(x, i, index);
            for (int d = 0; d < x->ndim; d++)
                if (gone[d]) index[d] = 0;
            if (rt_at(&kept, index) == o) v[count++] = x->v[i];
        }
        out->v[o] = f(v, count, a);
    }
    free(v);
}

#define REF(name)                                                                        \
    static void name##_ref(const rt *in, int nin, const td_attrs *a, rt *out) {          \
        (void)nin;                                                                       \
        reduce(in, a, name##_of, out);                                                   \
    }

#define OVER(sizes, ...)                                                                 \
    {                                                                                    \
        .in = {{sizes}}, .attrs = { {A_LIST(DIMS, __VA_ARGS__)} }                        \
    }
#define KEEP(sizes, ...)                                                                 \
    {                                                                                    \
        .in = {{sizes}}, .attrs = { {A_LIST(DIMS, __VA_ARGS__), A_INT(BOOL, 1)} }        \
    }
/* Sizes across the blocks of 1024 and the groups of 64 results are tried in tests/runtime. */
#define SHAPES                                                                           \
    {.in = {{"3x4"}}}, {.in = {{"scalar"}}}, {.in = {{"41"}}}, OVER("3x4", 0),           \
        OVER("3x4", 1), KEEP("3x4", 1), OVER("2x3x4", 1), OVER("2x3x4", 2, 0),           \
        KEEP("2x3x4", 0, 2), OVER("2x3x2x3", 1, 3), KEEP("2x1x3", 1),                    \
        OVER("2x3x2x3", 0, 1, 2, 3), OVER("0x3", 1), {                                   \
        .in = {{"3x4"}}, .attrs = { {A_EMPTY(DIMS), A_INT(BOOL, 1)} }                    \
    }
#define ERRORS(name)                                                                     \
    {.in = {{"2x3"}},                                                                    \
     .attrs = {{A_LIST(DIMS, 2)}},                                                       \
     .error = name ": dims 3 of a tensor with 2 dimensions"},                            \
    {                                                                                    \
        .in = {{"2x3"}}, .attrs = {{A_LIST(DIMS, 1, 1)}},                                \
        .error = name ": dimension 2 is named twice"                                     \
    }
#define EMPTY {.in = {{"0"}}}, OVER("0x3", 0), OVER("2x0", 0, 1)

static double sum_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += v[i];
    return s;
}
REF(sum)
OP_ROW(sum) = {.op = "sum",
               .dtypes = OP_ALL,
               .out = {OP_SUM},
               .ref = sum_ref,
               .flags = OP_GRAD2,
               CASES(SHAPES, EMPTY, ERRORS("sum"))};

static double mean_of(const double *v, int64_t n, const td_attrs *a) {
    return sum_of(v, n, a) / (double)n;
}
REF(mean)
OP_ROW(mean) = {.op = "mean",
                .dtypes = OP_ALL,
                .out = {OP_FLOAT},
                .ref = mean_ref,
                .flags = OP_GRAD2,
                CASES(SHAPES, {.in = {{"0"}}, .flags = OP_NO_GRAD}, ERRORS("mean"))};

static double prod_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    double p = 1;
    for (int64_t i = 0; i < n; i++) p *= v[i];
    return p;
}
REF(prod)
/* With zeros: gradients of the first order are right; see vm/ops/reduce.c. */
OP_ROW(prod) = {.op = "prod",
                .dtypes = OP_ALL,
                .out = {OP_SUM},
                .low = 0.9,
                .high = 1.3,
                .ref = prod_ref,
                .flags = OP_GRAD2,
                CASES(SHAPES, EMPTY, ERRORS("prod"))};

static double any_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    bool any = false;
    for (int64_t i = 0; i < n; i++) any |= v[i] != 0;
    return any;
}
REF(any)
OP_ROW(any) = {
    .op = "any",
    .dtypes = OP_ALL,
    .out = {OP_IS_BOOL},
    .low = -1,
    .high = 1,
    .ref = any_ref,
    CASES(SHAPES, EMPTY,
          {.in = {{"3x2", VALUES(0, 0, 0, 1, 0, 0)}}, .attrs = {{A_LIST(DIMS, 1)}}})};

static double all_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    bool all = true;
    for (int64_t i = 0; i < n; i++) all &= v[i] != 0;
    return all;
}
REF(all)
OP_ROW(all) = {
    .op = "all",
    .dtypes = OP_ALL,
    .out = {OP_IS_BOOL},
    .low = 1,
    .high = 2,
    .ref = all_ref,
    CASES(SHAPES, EMPTY,
          {.in = {{"3x2", VALUES(1, 1, 0, 1, 1, 1)}}, .attrs = {{A_LIST(DIMS, 1)}}})};

static double amax_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    double m = v[0];
    for (int64_t i = 1; i < n; i++)
        if (v[i] > m || isnan(v[i])) m = v[i];
    return m;
}
REF(amax)
#define EXTREMES(name)                                                                   \
    SHAPES, ERRORS(name), {                                                              \
        .in = {{"4", VALUES(1, NAN, 3, 2)}}, .flags = OP_NO_GRAD | OP_ONLY_FLOATS        \
    }
OP_ROW(amax) = {
    .op = "amax",
    .dtypes = OP_ALL,
    .low = -9,
    .high = 9,
    .ref = amax_ref,
    .flags = OP_GRAD2,
    CASES(EXTREMES("amax"),
          {.in = {{"0x3"}}, .error = "amax: no maximum of nothing: the tensor is 0x3"})};

static double amin_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    double m = v[0];
    for (int64_t i = 1; i < n; i++)
        if (v[i] < m || isnan(v[i])) m = v[i];
    return m;
}
REF(amin)
OP_ROW(amin) = {
    .op = "amin",
    .dtypes = OP_ALL,
    .low = -9,
    .high = 9,
    .ref = amin_ref,
    .flags = OP_GRAD2,
    CASES(EXTREMES("amin"), {.in = {{"2x0"}},
                             .attrs = {{A_LIST(DIMS, 1)}},
                             .error = "amin: no minimum of nothing: the tensor is 2x0"})};

static double var_of(const double *v, int64_t n, const td_attrs *a) {
    double m = mean_of(v, n, a), s = 0, c = a->v[2].kind ? (double)a->v[2].i : 1;
    for (int64_t i = 0; i < n; i++) s += (v[i] - m) * (v[i] - m);
    return s / fmax(0, (double)n - c);
}
REF(var)
OP_ROW(var) = {
    .op = "var",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = var_ref,
    .flags = OP_GRAD2,
    CASES({.in = {{"3x4"}}}, {.in = {{"scalar"}}, .flags = OP_NO_GRAD}, {.in = {{"41"}}},
          OVER("3x4", 0), KEEP("2x3x4", 0, 2),
          {.in = {{"2x3x4"}},
           .attrs = {{A_LIST(DIMS, 1), A_INT(BOOL, 0), A_INT(INT, 0)}}},
          {.in = {{"1"}}, .attrs = {{A_EMPTY(DIMS), A_INT(BOOL, 0), A_INT(INT, 0)}}},
          {.in = {{"0x3"}}, .attrs = {{A_LIST(DIMS, 0)}}, .flags = OP_NO_GRAD},
          ERRORS("var")),
};

static double logsumexp_of(const double *v, int64_t n, const td_attrs *a) {
    (void)a;
    double s = 0, top = -INFINITY;
    for (int64_t i = 0; i < n; i++) top = fmax(top, v[i]);
    if (isinf(top)) top = 0;
    for (int64_t i = 0; i < n; i++) s += exp(v[i] - top);
    return top + log(s);
}
REF(logsumexp)
OP_ROW(logsumexp) = {
    .op = "logsumexp",
    .dtypes = OP_ALL,
    .out = {OP_FLOAT},
    .ref = logsumexp_ref,
    .flags = OP_GRAD2,
    CASES(SHAPES,
          {.in = {{"3", VALUES(1000, 999, -1000)}}, .flags = OP_ONLY_FLOATS | OP_NO_GRAD},
          {.in = {{"2", VALUES(-INFINITY, -INFINITY)}},
           .flags = OP_ONLY_FLOATS | OP_NO_GRAD},
          {.in = {{"2", VALUES(INFINITY, 0)}}, .flags = OP_ONLY_FLOATS | OP_NO_GRAD},
          {.in = {{"0"}}, .flags = OP_NO_GRAD}, ERRORS("logsumexp")),
};

/* ---- along one dim (attribute 0) ---- */

/* The first best place among n elements, step apart. */
static int64_t best_of(const double *v, int64_t n, int64_t step, double sign) {
    int64_t at = 0;
    for (int64_t i = 1; i < n && !isnan(v[at * step]); i++)
        if (v[i * step] * sign > v[at * step] * sign || isnan(v[i * step])) at = i;
    return at;
}

/* places: positions from 1; values: may be NULL. dim < 0: the whole as one row. */
static void places_ref(const rt *x, int dim, bool keepdim, double sign, rt *values,
                       rt *places) {
    int64_t left[TD_MAX_DIM], step = 1, n = dim < 0 ? rt_numel(x) : x->dim[dim],
                              inner = 1;
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++) {
        bool gone = dim < 0 || d == dim;
        if (!gone || keepdim) left[ndim++] = gone ? 1 : x->dim[d];
        if (d > dim && dim >= 0) step *= x->dim[d];
    }
    if (dim >= 0) inner = step;
    rt_new(places, ndim, left);
    if (values) rt_new(values, ndim, left);
    for (int64_t o = 0; o < rt_numel(places); o++) {
        const double *v = x->v + o / inner * inner * n + o % inner;
        int64_t at = best_of(v, n, step, sign);
        places->v[o] = (double)at + 1;
        if (values) values->v[o] = v[at * step];
    }
}

#define PLACE_REFS(arg, pair, sign)                                                      \
    static void arg##_ref(const rt *in, int nin, const td_attrs *a, rt *out) {           \
        (void)nin;                                                                       \
        places_ref(in, a->v[0].kind ? (int)a->v[0].i : -1, a->v[1].i, sign, NULL, out);  \
    }                                                                                    \
    static void pair##_ref(const rt *in, int nin, const td_attrs *a, rt *out) {          \
        (void)nin;                                                                       \
        places_ref(in, (int)a->v[0].i, a->v[1].i, sign, &out[0], &out[1]);               \
    }
PLACE_REFS(argmax, max_dim, 1)
PLACE_REFS(argmin, min_dim, -1)

#define ALONG(sizes, d)                                                                  \
    {                                                                                    \
        .in = {{sizes}}, .attrs = { {A_INT(DIM, d)} }                                    \
    }
#define ALONG_CASES(name, what)                                                          \
    ALONG("3x4", 0), ALONG("3x4", 1), ALONG("2x3x4", 1), ALONG("67", 0),                 \
        ALONG("0x3", 1),                                                                 \
        {.in = {{"2x3x4"}}, .attrs = {{A_INT(DIM, 2), A_INT(BOOL, 1)}}},                 \
        {.in = {{"2x3", VALUES(2, 5, 5, 1, 1, 0)}},                                      \
         .attrs = {{A_INT(DIM, 1)}},                                                     \
         .flags = OP_NO_GRAD},                                                           \
        {.in = {{"2x3", VALUES(2, NAN, 5, NAN, 1, NAN)}},                                \
         .attrs = {{A_INT(DIM, 1)}},                                                     \
         .flags = OP_NO_GRAD | OP_ONLY_FLOATS},                                          \
        {.in = {{"2x0"}},                                                                \
         .attrs = {{A_INT(DIM, 1)}},                                                     \
         .error = name ": no " what " of nothing: the tensor is 2x0"},                   \
    {                                                                                    \
        .in = {{"2x3"}}, .attrs = {{A_INT(DIM, 2)}},                                     \
        .error = name ": dim 3 of a tensor with 2 dimensions"                            \
    }
#define ARG_CASES(name, what)                                                            \
    ALONG_CASES(name, what), {.in = {{"3x4"}}}, {.in = {{"scalar"}}}, {                  \
        .in = {{"2x3"}}, .attrs = { {A_NONE, A_INT(BOOL, 1)} }                           \
    }

OP_ROW(argmax) = {.op = "argmax",
                  .dtypes = OP_ALL,
                  .out = {OP_IS_I64},
                  .low = -9,
                  .high = 9,
                  .ref = argmax_ref,
                  CASES(ARG_CASES("argmax", "maximum"))};
OP_ROW(argmin) = {.op = "argmin",
                  .dtypes = OP_ALL,
                  .out = {OP_IS_I64},
                  .low = -9,
                  .high = 9,
                  .ref = argmin_ref,
                  CASES(ARG_CASES("argmin", "minimum"))};
OP_ROW(max_dim) = {.op = "max_dim",
                   .dtypes = OP_ALL,
                   .out = {OP_SAME, OP_IS_I64},
                   .low = -9,
                   .high = 9,
                   .ref = max_dim_ref,
                   .flags = OP_GRAD2,
                   CASES(ALONG_CASES("max_dim", "maximum"))};
OP_ROW(min_dim) = {.op = "min_dim",
                   .dtypes = OP_ALL,
                   .out = {OP_SAME, OP_IS_I64},
                   .low = -9,
                   .high = 9,
                   .ref = min_dim_ref,
                   .flags = OP_GRAD2,
                   CASES(ALONG_CASES("min_dim", "minimum"))};

/* ---- running sums ---- */

static void cumsum_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin;
    int dim = (int)a->v[0].i;
    rt_like(out, in);
    for (int64_t i = 0; i < rt_numel(in); i++) {
        int64_t index[TD_MAX_DIM] = {0};
        rt_index(in, i, index);
        for (; index[dim] >= 0; index[dim]--) out->v[i] += in->v[rt_at(in, index)];
    }
}

OP_ROW(cumsum) = {.op = "cumsum",
                  .dtypes = OP_ALL,
                  .out = {OP_SUM},
                  .ref = cumsum_ref,
                  .flags = OP_GRAD2,
                  CASES(ALONG("3x4", 0), ALONG("3x4", 1), ALONG("2x3x4", 1),
                        ALONG("0x3", 0), ALONG("67", 0),
                        {.in = {{"2x3"}},
                         .attrs = {{A_INT(DIM, 5)}},
                         .error = "cumsum: dim 6 of a tensor with 2 dimensions"},
                        {.in = {{"2x3"}}, .error = "cumsum: no dim was given"})};
