/* Convolution by matrix products: an image at a time, and inside it a product for each kernel row (or a
 * single one, see unfold.h). Called by the ops of vm/ops/conv.c. */
#include "runtime/kernels/conv.h"

#include <string.h>

#include "runtime/kernels/blas.h"
#include "runtime/mem.h"

/* What the three share: the unfolding, and the weights in the order of its products. */
typedef struct work {
    const td_conv *v;
    td_unfold u;
    td_dtype t;
    int64_t bytes;  /* of an element */
    char *unfolded; /* one group of one image */
    char *weight;   /* all groups: [group][step][o][depth] */
    size_t unfolded_bytes, weight_bytes;
} work;

static void work_end(work *k) {
    td_data_free(k->unfolded, k->unfolded_bytes);
    td_data_free(k->weight, k->weight_bytes);
}

static int scratch(size_t elements, size_t each, char **out, size_t *bytes, td_err *err) {
    if (!td_mul_size(elements, each, bytes))
        return td_fail(err, TD_E_LIMIT, "", "%zu elements are too many", elements);
    *out = td_data_new(*bytes, err);
    return *out ? 0 : TD_E_MEMORY;
}

static int work_begin(work *k, const td_conv *v, td_dtype t, td_err *err) {
    *k = (work){.v = v, .t = t, .bytes = (int64_t)td_dtype_bytes(t)};
    td_unfold_init(&k->u, v);
    size_t image, weights = (size_t)(v->groups * v->o * v->c * v->kh * v->kw);
    if (!td_unfold_size(&k->u, &image))
        return td_fail(
            err, TD_E_LIMIT, "", "windows of %lldx%lld over %lldx%lld are too large",
            (long long)v->kh, (long long)v->kw, (long long)v->oh, (long long)v->ow);
    int rc = scratch(image, (size_t)k->bytes, &k->unfolded, &k->unfolded_bytes, err);
    if (rc == 0)
        rc = scratch(weights, (size_t)k->bytes, &k->weight, &k->weight_bytes, err);
    if (rc) work_end(k);
    return rc;
}

/* Between [o][c][kh][kw] of a filter bank and [step][o][c][tap]. */
static void reorder_weights(const work *k, char *bank, char *ordered, bool from_bank) {
    const td_conv *v = k->v;
    int64_t steps = k->u.steps, taps = k->u.taps;
    size_t piece = (size_t)(taps * k->bytes);
    for (int64_t g = 0; g < v->groups; g++)
        for (int64_t s = 0; s < steps; s++)
            for (int64_t o = 0; o < v->o; o++)
                for (int64_t c = 0; c < v->c; c++, ordered += piece) {
                    char *in =
                        bank + (size_t)(((g * v->o + o) * v->c + c) * steps + s) * piece;
                    if (from_bank)
                        memcpy(ordered, in, piece);
                    else
                        memcpy(in, ordered, piece);
                }
}

static char *weight_step(const work *k, int64_t group, int64_t step) {
    return k->weight + (group * k->u.steps + step) * k->v->o * k->u.depth * k->bytes;
}

/* The planes of a step inside an unfolding, as a depth x (oh * ow) matrix. */
static td_matrix planes(const work *k, const void *unfolded, int64_t step) {
    const char *at = (const char *)unfolded + td_unfold_start(&k->u, step) * k->bytes;
    return (td_matrix){at, k->u.line, 1};
}

static const void *unfold(const work *k, const char *image) {
    if (k->u.in_place) return image;
    td_unfold_image(&k->u, k->t, image, k->unfolded);
    return k->unfolded;
}

/* y_step = weight_step * planes_step, summed over the steps */
int td_conv_forward(const td_conv *v, td_dtype t, const void *x, const void *weight,
                    void *y, td_err *err) {
    work k;
    int rc = work_begin(&k, v, t, err);
    if (rc) return rc;
    reorder_weights(&k, (char *)weight, k.weight, true);
    int64_t positions = v->oh * v->ow;
    const char *image = x;
    char *to = y;
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t g = 0; g < v->groups; g++) {
            const void *unfolded = unfold(&k, image);
            for (int64_t s = 0; s < k.u.steps; s++) {
                td_matrix w = {weight_step(&k, g, s), k.u.depth, 1};
                td_gemm(t, v->o, positions, k.u.depth, w, planes(&k, unfolded, s), s > 0,
                        to, positions);
            }
            image += v->c * v->h * v->w * k.bytes;
            to += v->o * positions * k.bytes;
        }
    work_end(&k);
    return 0;
}

/* planes_step += weight_step' * dy, then folded */
int td_conv_input(const td_conv *v, td_dtype t, const void *dy, const void *weight,
                  void *dx, td_err *err) {
    work k;
    int rc = work_begin(&k, v, t, err);
    if (rc) return rc;
    reorder_weights(&k, (char *)weight, k.weight, true);
    int64_t positions = v->oh * v->ow, image_bytes = v->c * v->h * v->w * k.bytes;
    memset(dx, 0, (size_t)(v->n * v->groups * image_bytes));
    /* Rows that no step writes, or that several add to, must be there first. */
    bool add = k.u.steps > 1 || k.u.rows != v->oh || k.u.in_place;
    const char *from = dy;
    char *image = dx;
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t g = 0; g < v->groups; g++) {
            char *unfolded = k.u.in_place ? image : k.unfolded;
            if (add && !k.u.in_place) memset(unfolded, 0, k.unfolded_bytes);
            for (int64_t s = 0; s < k.u.steps; s++) {
                td_matrix w = {weight_step(&k, g, s), 1, k.u.depth},
                          d = {from, positions, 1};
                td_gemm(t, k.u.depth, positions, v->o, w, d, add,
                        unfolded + td_unfold_start(&k.u, s) * k.bytes, k.u.line);
            }
            if (!k.u.in_place) td_fold_add(&k.u, t, unfolded, image);
            image += image_bytes;
            from += v->o * positions * k.bytes;
        }
    work_end(&k);
    return 0;
}

/* dweight_step += dy * planes_step' */
int td_conv_weight(const td_conv *v, td_dtype t, const void *dy, const void *x,
                   void *dweight, td_err *err) {
    work k;
    int rc = work_begin(&k, v, t, err);
    if (rc) return rc;
    memset(k.weight, 0, k.weight_bytes);
    int64_t positions = v->oh * v->ow;
    const char *image = x, *from = dy;
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t g = 0; g < v->groups; g++) {
            const void *unfolded = unfold(&k, image);
            for (int64_t s = 0; s < k.u.steps; s++) {
                td_matrix d = {from, positions, 1}, p = planes(&k, unfolded, s);
                td_matrix turned = {p.data, p.col, p.row};
                td_gemm(t, v->o, k.u.depth, positions, d, turned, 1,
                        weight_step(&k, g, s), k.u.depth);
            }
            image += v->c * v->h * v->w * k.bytes;
            from += v->o * positions * k.bytes;
        }
    reorder_weights(&k, dweight, k.weight, false);
    work_end(&k);
    return 0;
}
