/* Random tensors. Values depend on seed and stream alone; whoever calls chooses a new stream each time. */
#include "runtime/random.h"

#include "runtime/kernels/convert.h"
#include "runtime/scratch.h"
#include "vm/op.h"

#define SEEDS                                                                            \
    {.name = "seed", .kind = TD_ATTR_INT, .required = true}, {                           \
        .name = "stream", .kind = TD_ATTR_INT, .required = true                          \
    }
#define SEEDS_DOC                                                                        \
    "  seed, stream  whole numbers that fix the values; given by tide.manual_seed\n"
#define FLOAT_DTYPE                                                                      \
    { .name = "dtype", .kind = TD_ATTR_DTYPE, .preset = TD_F32 }

static void sized(const td_attr *sizes, const td_attr *dtype, td_meta *out) {
    out->dtype = (td_dtype)dtype->i;
    out->shape.ndim = sizes->n;
    for (int i = 0; i < sizes->n; i++) out->shape.dim[i] = sizes->list[i];
}

/* Runs `fill` in f32 or f64 straight into out, or in f64 and converts. */
typedef struct filler {
    void (*f32)(uint64_t, uint64_t, int64_t, float *);
    void (*f64)(uint64_t, uint64_t, int64_t, double *);
} filler;

static int fill(const filler *f, uint64_t seed, uint64_t stream, td_tensor *out,
                td_err *err) {
    int64_t n = td_tensor_numel(out);
    if (out->dtype == TD_F32) {
        f->f32(seed, stream, n, td_tensor_data(out));
    } else if (out->dtype == TD_F64) {
        f->f64(seed, stream, n, td_tensor_data(out));
    } else { /* f16, bf16 */
        float *wide = td_scratch_take((size_t)n * sizeof *wide, err);
        if (wide == NULL) return TD_E_MEMORY;
        f->f32(seed, stream, n, wide);
        char *const ptr[2] = {td_tensor_data(out), (char *)wide};
        td_convert_inner(out->dtype, TD_F32)(n, ptr, (const int64_t[2]){2, 4}, NULL);
        td_scratch_give(wide);
    }
    return 0;
}

static int want_float(const td_meta *out, td_err *err) {
    if (td_dtype_is_float(out->dtype)) return 0;
    td_fail(err, TD_E_DTYPE, "", "wants a float dtype, got %s",
            td_dtype_name(out->dtype));
    td_hint(err, "tide.randint makes integers");
    return TD_E_DTYPE;
}

/* ---- rand, randn ---- */

static int rand_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                      td_err *err) {
    (void)in, (void)nin;
    sized(&a->v[0], &a->v[3], out);
    return want_float(out, err);
}

static int rand_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                       td_tensor *const *out, td_err *err) {
    (void)in, (void)nin;
    static const filler f = {td_random_uniform_f32, td_random_uniform_f64};
    return fill(&f, (uint64_t)a->v[1].i, (uint64_t)a->v[2].i, out[0], err);
}

TD_OP(rand) = {
    .name = "rand",
    .doc = "Random numbers, uniform in [0, 1): Philox4x32-10 (Salmon et al. 2011).\n\n"
           "  sizes  of the tensor\n" SEEDS_DOC "  dtype  \"f32\"\n\n"
           "  tide.rand(2, 3):lt(1):sum():item()  --> 6",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION | TD_OP_RANDOM,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             SEEDS,
             FLOAT_DTYPE},
    .shape = rand_shape,
    .kernel = rand_kernel,
};

static int randn_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                        td_tensor *const *out, td_err *err) {
    (void)in, (void)nin;
    static const filler f = {td_random_normal_f32, td_random_normal_f64};
    return fill(&f, (uint64_t)a->v[1].i, (uint64_t)a->v[2].i, out[0], err);
}

TD_OP(randn) = {
    .name = "randn",
    .doc = "Random numbers with a standard normal distribution (Box and Muller 1958, "
           "over Philox).\n\n"
           "  sizes  of the tensor\n" SEEDS_DOC "  dtype  \"f32\"\n\n"
           "  tide.randn(2, 3):abs():lt(9):sum():item()  --> 6",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION | TD_OP_RANDOM,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             SEEDS,
             FLOAT_DTYPE},
    .shape = rand_shape,
    .kernel = randn_kernel,
};

/* ---- randint ---- */

static int randint_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                         td_err *err) {
    (void)in, (void)nin;
    sized(&a->v[2], &a->v[5], out);
    if (a->v[0].i > a->v[1].i)
        return td_fail(err, TD_E_VALUE, "randint", "no whole number from %lld to %lld",
                       (long long)a->v[0].i, (long long)a->v[1].i);
    return 0;
}

static int randint_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                          td_tensor *const *out, td_err *err) {
    (void)in, (void)nin;
    int64_t n = td_tensor_numel(out[0]);
    size_t bytes = (size_t)n * sizeof(uint64_t), each = td_dtype_bytes(out[0]->dtype);
    uint64_t *draw = td_scratch_take(bytes, err);
    if (draw == NULL) return TD_E_MEMORY;
    uint64_t low = (uint64_t)a->v[0].i, range = (uint64_t)a->v[1].i - low + 1;
    td_random_below((uint64_t)a->v[3].i, (uint64_t)a->v[4].i, range, n, draw);
    char *to = td_tensor_data(out[0]);
    for (int64_t i = 0; i < n; i++, to += each)
        td_store_i64(out[0]->dtype, to, (int64_t)(low + draw[i]));
    td_scratch_give(draw);
    return 0;
}

TD_OP(randint) = {
    .name = "randint",
    .doc = "Random whole numbers, each as likely as the others, both ends included.\n\n"
           "  low, high  smallest and largest\n"
           "  sizes      of the tensor, a table\n" SEEDS_DOC "  dtype      \"i64\"\n\n"
           "  tide.randint(7, 7, {2, 3}):sum():item()  --> 42",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION | TD_OP_RANDOM,
    .attr = {{.name = "low", .kind = TD_ATTR_INT, .required = true},
             {.name = "high", .kind = TD_ATTR_INT, .required = true},
             {.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             SEEDS,
             {.name = "dtype", .kind = TD_ATTR_DTYPE, .preset = TD_I64}},
    .shape = randint_shape,
    .kernel = randint_kernel,
};

/* ---- randperm ---- */

static int randperm_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                          td_err *err) {
    (void)in, (void)nin, (void)err;
    out->dtype = TD_I64;
    out->shape.ndim = 1;
    out->shape.dim[0] = a->v[0].i;
    return 0;
}

static int randperm_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                           td_tensor *const *out, td_err *err) {
    (void)in, (void)nin, (void)err;
    td_random_permutation((uint64_t)a->v[1].i, (uint64_t)a->v[2].i, a->v[0].i,
                          td_tensor_data(out[0]));
    return 0;
}

TD_OP(randperm) = {
    .name = "randperm",
    .doc = "The whole numbers from 1 to n in a random order (Fisher and Yates 1938): an "
           "i64 tensor.\n\n"
           "  n  how many\n" SEEDS_DOC "\n"
           "  tide.randperm(10):sum():item()  --> 55",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION | TD_OP_RANDOM,
    .attr = {{.name = "n", .kind = TD_ATTR_INT, .required = true}, SEEDS},
    .shape = randperm_shape,
    .kernel = randperm_kernel,
};

/* ---- bernoulli ---- */

static int bernoulli_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                           td_err *err) {
    (void)in, (void)nin;
    sized(&a->v[0], &a->v[4], out);
    double p = a->v[1].f;
    if (p >= 0 && p <= 1) return 0;
    return td_fail(err, TD_E_VALUE, "bernoulli",
                   "a probability from 0 to 1 is wanted, got %g", p);
}

/* A 1 where a uniform draw of 24 bits lies below p. */
static int bernoulli_kernel(td_tensor *const *in, int nin, const td_attrs *a,
                            td_tensor *const *out, td_err *err) {
    (void)in, (void)nin;
    int64_t n = td_tensor_numel(out[0]);
    size_t bytes = (size_t)n * sizeof(float), each = td_dtype_bytes(out[0]->dtype);
    float *draw = td_scratch_take(bytes, err);
    if (draw == NULL) return TD_E_MEMORY;
    td_random_uniform_f32((uint64_t)a->v[2].i, (uint64_t)a->v[3].i, n, draw);
    char *to = td_tensor_data(out[0]);
    if (out[0]->dtype == TD_F32) {
        for (int64_t i = 0; i < n; i++)
            ((float *)to)[i] = (double)draw[i] < a->v[1].f ? 1 : 0;
    } else {
        for (int64_t i = 0; i < n; i++, to += each)
            td_store_i64(out[0]->dtype, to, (double)draw[i] < a->v[1].f);
    }
    td_scratch_give(draw);
    return 0;
}

TD_OP(bernoulli) = {
    .name = "bernoulli",
    .doc = "Random zeros and ones: a one with probability p.\n\n"
           "  sizes  of the tensor, a table\n"
           "  p      probability of a one\n" SEEDS_DOC "  dtype  \"f32\"\n\n"
           "  tide.bernoulli({2, 3}, 1):sum():item()  --> 6.0",
    .nin = 0,
    .nout = 1,
    .flags = TD_OP_CREATE | TD_OP_FUNCTION | TD_OP_RANDOM,
    .attr = {{.name = "sizes", .kind = TD_ATTR_SIZES, .required = true},
             {.name = "p", .kind = TD_ATTR_FLOAT, .required = true},
             SEEDS,
             FLOAT_DTYPE},
    .shape = bernoulli_shape,
    .kernel = bernoulli_kernel,
};
