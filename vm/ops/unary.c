/* Functions of one tensor, element by element: numbers, rounding and questions. Those that come from
 * analysis stand in math.c. */
#include <string.h>

#include "vm/ops/unary.h"

TD_OP_USE(gt);
TD_OP_USE(sign);
TD_OP_USE(where);

/* Rounding is flat almost everywhere: its gradient is zero, as in PyTorch. */
static int flat_grad(td_grad *g) {
    g->gin[0] = g_zeros(g, &g->in_meta[0], g->gout[0]);
    return 0;
}

/* y = -x:  dx = -g */
static int neg_grad(td_grad *g) {
    g->gin[0] = g_neg(g, g->gout[0]);
    return 0;
}

TD_UNARY(neg, TD_UNARY_NEG)
TD_OP(neg) = {
    .name = "neg",
    .doc = "The negative of each element, -x.\n\n"
           "  (-tide.tensor{1, 2}):sum():item()  --> -3.0",
    UNARY_OP(neg, 0),
    .grad = neg_grad,
};

/* y = |x|:  dx = g sign(x) */
static int abs_grad(td_grad *g) {
    g->gin[0] = g_mul(g, g->gout[0], g_unary(g, &td_op_sign, g->in[0]));
    return 0;
}

TD_UNARY(abs, TD_UNARY_ABS)
TD_OP(abs) = {
    .name = "abs",
    .doc = "The absolute value of each element.\n\n"
           "  tide.tensor{-1, 2}:abs():sum():item()  --> 3.0",
    UNARY_OP(abs, 0),
    .save = TD_SAVE_IN(0),
    .grad = abs_grad,
};

TD_UNARY(sign, TD_UNARY_SIGN)
TD_OP(sign) = {
    .name = "sign",
    .doc = "The sign of each element: -1, 0 or 1.\n\n"
           "  tide.tensor{-7, 0, 2}:sign():sum():item()  --> 0.0",
    UNARY_OP(sign, 0),
    .grad = flat_grad,
};

TD_UNARY(floor, TD_UNARY_FLOOR)
TD_OP(floor) = {
    .name = "floor",
    .doc = "The largest whole number that is at most x, for each element.\n\n"
           "  tide.tensor{-0.5, 1.5}:floor():sum():item()  --> 0.0",
    UNARY_OP(floor, 0),
    .grad = flat_grad,
};

TD_UNARY(ceil, TD_UNARY_CEIL)
TD_OP(ceil) = {
    .name = "ceil",
    .doc = "The smallest whole number that is at least x, for each element.\n\n"
           "  tide.tensor{-0.5, 1.5}:ceil():sum():item()  --> 2.0",
    UNARY_OP(ceil, 0),
    .grad = flat_grad,
};

TD_UNARY(round, TD_UNARY_ROUND)
TD_OP(round) = {
    .name = "round",
    .doc = "The nearest whole number to each element; halves go to the even one.\n\n"
           "  tide.tensor{0.5, 1.5, 2.5}:round():sum():item()  --> 4.0",
    UNARY_OP(round, 0),
    .grad = flat_grad,
};

TD_UNARY(trunc, TD_UNARY_TRUNC)
TD_OP(trunc) = {
    .name = "trunc",
    .doc = "Each element without its fraction.\n\n"
           "  tide.tensor{-1.5, 2.5}:trunc():sum():item()  --> 1.0",
    UNARY_OP(trunc, 0),
    .grad = flat_grad,
};

/* y = x^2:  dx = 2 g x */
static int square_grad(td_grad *g) {
    g->gin[0] = g_mul(g, g_mul(g, g->gout[0], g_num(g, 2)), g->in[0]);
    return 0;
}

TD_UNARY(square, TD_UNARY_SQUARE)
TD_OP(square) = {
    .name = "square",
    .doc = "The square of each element, x * x.\n\n"
           "  tide.tensor{1, 2, 3}:square():sum():item()  --> 14.0",
    UNARY_OP(square, 0),
    .save = TD_SAVE_IN(0),
    .grad = square_grad,
};

/* y = max(x, 0):  dx = g where y > 0 */
static int relu_grad(td_grad *g) {
    td_val *zero = g_num(g, 0);
    td_val *in[3] = {g_binary(g, &td_op_gt, g->out[0], zero), g->gout[0], zero};
    g->gin[0] = g_op(g, &td_op_where, NULL, 3, in);
    return 0;
}

TD_UNARY(relu, TD_UNARY_RELU)
TD_OP(relu) = {
    .name = "relu",
    .doc = "Each element, or 0 where it is negative: the rectifier (Nair and Hinton "
           "2010).\n\n"
           "  tide.tensor{-1, 2}:relu():sum():item()  --> 2.0",
    UNARY_OP(relu, 0),
    .save = TD_SAVE_OUT(0),
    .grad = relu_grad,
};

/* ---- with numbers of their own ---- */

/* The leaf x > 0 ? x : slope x:  dx = g, or slope g */
static int leaky_relu_grad(td_grad *g) {
    td_val *zero = g_num(g, 0), *slope = g_num(g, g->attrs->v[0].f);
    td_val *in[3] = {g_binary(g, &td_op_gt, g->in[0], zero), g->gout[0],
                     g_mul(g, g->gout[0], slope)};
    g->gin[0] = g_op(g, &td_op_where, NULL, 3, in);
    return 0;
}

static void put_args(td_inner_args *to, const td_unary_args *from) {
    _Static_assert(sizeof *from <= sizeof *to, "the numbers of a unary loop fit");
    memcpy(to, from, sizeof *from);
}

static td_inner *leaky_relu_inner(const td_meta *in, int nin, const td_attrs *a,
                                  td_inner_args *args) {
    (void)nin;
    put_args(args, &(td_unary_args){.slope = a->v[0].f});
    return td_unary_inner(TD_UNARY_LEAKY_RELU, in[0].dtype);
}

TD_OP(leaky_relu) = {
    .name = "leaky_relu",
    .doc = "Each element, or slope times it where it is negative (Maas et al. 2013).\n\n"
           "  slope  of the negative side; 0.01\n\n"
           "  tide.tensor{-2, 1}:leaky_relu(0.5):sum():item()  --> 0.0",
    UNARY_OP(leaky_relu, TD_OP_FLOAT),
    .attr = {{.name = "slope", .kind = TD_ATTR_FLOAT, .preset = 0.01}},
    .save = TD_SAVE_IN(0),
    .grad = leaky_relu_grad,
};

/* An integer's bounds are the whole numbers inside the given ones. */
static int64_t whole(double v) {
    return v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

static int clamp_shape(const td_meta *in, int nin, td_attrs *a, td_meta *out,
                       td_err *err) {
    for (int k = 0; k < 2; k++)
        if (isnan(a->v[k].f))
            return td_fail(err, TD_E_VALUE, "clamp", "the %s is NaN",
                           k ? "maximum" : "minimum");
    return td_shape_same(in, nin, a, out, err);
}

static td_inner *clamp_inner(const td_meta *in, int nin, const td_attrs *a,
                             td_inner_args *args) {
    (void)nin;
    double low = a->v[0].f, high = a->v[1].f;
    put_args(args, &(td_unary_args){.low = low,
                                    .high = high,
                                    .int_low = whole(ceil(low)),
                                    .int_high = whole(floor(high))});
    return td_unary_inner(TD_UNARY_CLAMP, in[0].dtype);
}

TD_OP_USE(ge);
TD_OP_USE(le);
TD_OP_USE(logical_and);

/* dx = g where min <= x <= max */
static int clamp_grad(td_grad *g) {
    td_val *above = g_binary(g, &td_op_ge, g->in[0], g_num(g, g->attrs->v[0].f));
    td_val *below = g_binary(g, &td_op_le, g->in[0], g_num(g, g->attrs->v[1].f));
    td_val *in[3] = {g_binary(g, &td_op_logical_and, above, below), g->gout[0],
                     g_num(g, 0)};
    g->gin[0] = g_op(g, &td_op_where, NULL, 3, in);
    return 0;
}

TD_OP(clamp) = {
    .name = "clamp",
    .doc = "Each element, kept between two bounds; NaN stays NaN.\n\n"
           "  min  lower bound; none\n"
           "  max  upper bound; none\n\n"
           "  tide.tensor{-5, 0.5, 5}:clamp(0, 1):sum():item()  --> 1.5",
    .nin = 1,
    .nout = 1,
    .flags = UNARY_FLAGS,
    .shape = clamp_shape,
    .inner = clamp_inner,
    .attr = {{.name = "min", .kind = TD_ATTR_FLOAT, .preset = -(double)INFINITY},
             {.name = "max", .kind = TD_ATTR_FLOAT, .preset = (double)INFINITY}},
    .save = TD_SAVE_IN(0),
    .grad = clamp_grad,
};

/* ---- questions ---- */

#define QUESTION(id, KIND, what, example)                                                \
    TD_UNARY(id, KIND)                                                                   \
    static int id##_question(const td_meta *in, int nin, td_attrs *a, td_meta *out,      \
                             td_err *err) {                                              \
        int rc = td_shape_same(in, nin, a, out, err);                                    \
        out[0].dtype = TD_BOOL;                                                          \
        return rc;                                                                       \
    }                                                                                    \
    TD_OP(id) = {                                                                        \
        .name = #id,                                                                     \
        .doc = what "\n\n  returns a bool tensor\n\n  " example,                         \
        .nin = 1,                                                                        \
        .nout = 1,                                                                       \
        .flags = UNARY_FLAGS,                                                            \
        .shape = id##_question,                                                          \
        .inner = id##_inner,                                                             \
    }

QUESTION(isnan, TD_UNARY_ISNAN, "Where an element is not a number.",
         "tide.tensor{0/0, 1}:isnan():sum():item()  --> 1");
QUESTION(isfinite, TD_UNARY_ISFINITE, "Where an element is neither infinite nor NaN.",
         "tide.tensor{1/0, 0/0, 1}:isfinite():sum():item()  --> 1");
QUESTION(logical_not, TD_UNARY_LOGICAL_NOT, "Where an element is false (zero).",
         "tide.tensor{0, 1, 2}:logical_not():sum():item()  --> 1");
