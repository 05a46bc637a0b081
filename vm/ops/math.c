/* Functions from analysis, element by element. Integers become f32. Each has the formula of its gradient
 * beside it. */
#include "vm/ops/unary.h"

TD_OP_USE(cos);
TD_OP_USE(exp);
TD_OP_USE(sigmoid);
TD_OP_USE(sin);
TD_OP_USE(square);

/* y = e^x:  dx = g y */
static int exp_grad(td_grad *g) {
    g->gin[0] = g_mul(g, g->gout[0], g->out[0]);
    return 0;
}

TD_UNARY(exp, TD_UNARY_EXP)
TD_OP(exp) = {
    .name = "exp",
    .doc = "The exponential of each element, e^x.\n\n"
           "  tide.tensor{0}:exp():item()  --> 1.0",
    UNARY_OP(exp, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = exp_grad,
};

/* y = ln x:  dx = g / x */
static int log_grad(td_grad *g) {
    g->gin[0] = g_div(g, g->gout[0], g->in[0]);
    return 0;
}

TD_UNARY(log, TD_UNARY_LOG)
TD_OP(log) = {
    .name = "log",
    .doc = "The natural logarithm of each element; NaN below 0.\n\n"
           "  tide.tensor{1}:log():item()  --> 0.0",
    UNARY_OP(log, TD_OP_FLOAT),
    .save = TD_SAVE_IN(0),
    .grad = log_grad,
};

/* y = sqrt x:  dx = g / 2y */
static int sqrt_grad(td_grad *g) {
    g->gin[0] = g_div(g, g->gout[0], g_mul(g, g->out[0], g_num(g, 2)));
    return 0;
}

TD_UNARY(sqrt, TD_UNARY_SQRT)
TD_OP(sqrt) = {
    .name = "sqrt",
    .doc = "The square root of each element; NaN below 0.\n\n"
           "  tide.tensor{9}:sqrt():item()  --> 3.0",
    UNARY_OP(sqrt, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = sqrt_grad,
};

/* y = x^-1/2:  dx = -g y^3 / 2 */
static int rsqrt_grad(td_grad *g) {
    td_val *cube = g_mul(g, g_unary(g, &td_op_square, g->out[0]), g->out[0]);
    g->gin[0] = g_mul(g, g_mul(g, g->gout[0], cube), g_num(g, -0.5));
    return 0;
}

TD_UNARY(rsqrt, TD_UNARY_RSQRT)
TD_OP(rsqrt) = {
    .name = "rsqrt",
    .doc = "One over the square root of each element.\n\n"
           "  tide.tensor{4}:rsqrt():item()  --> 0.5",
    UNARY_OP(rsqrt, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = rsqrt_grad,
};

/* y = 1 / x:  dx = -g y^2 */
static int reciprocal_grad(td_grad *g) {
    g->gin[0] = g_neg(g, g_mul(g, g->gout[0], g_unary(g, &td_op_square, g->out[0])));
    return 0;
}

TD_UNARY(reciprocal, TD_UNARY_RECIPROCAL)
TD_OP(reciprocal) = {
    .name = "reciprocal",
    .doc = "One over each element.\n\n"
           "  tide.tensor{4}:reciprocal():item()  --> 0.25",
    UNARY_OP(reciprocal, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = reciprocal_grad,
};

/* y = tanh x:  dx = g (1 - y^2) */
static int tanh_grad(td_grad *g) {
    td_val *slope = g_sub(g, g_num(g, 1), g_unary(g, &td_op_square, g->out[0]));
    g->gin[0] = g_mul(g, g->gout[0], slope);
    return 0;
}

TD_UNARY(tanh, TD_UNARY_TANH)
TD_OP(tanh) = {
    .name = "tanh",
    .doc = "The hyperbolic tangent of each element.\n\n"
           "  tide.tensor{0}:tanh():item()  --> 0.0",
    UNARY_OP(tanh, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = tanh_grad,
};

/* y = 1 / (1 + e^-x):  dx = g y (1 - y) */
static int sigmoid_grad(td_grad *g) {
    td_val *slope = g_mul(g, g->out[0], g_sub(g, g_num(g, 1), g->out[0]));
    g->gin[0] = g_mul(g, g->gout[0], slope);
    return 0;
}

TD_UNARY(sigmoid, TD_UNARY_SIGMOID)
TD_OP(sigmoid) = {
    .name = "sigmoid",
    .doc = "The logistic function of each element, 1 / (1 + e^-x).\n\n"
           "  tide.tensor{0}:sigmoid():item()  --> 0.5",
    UNARY_OP(sigmoid, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = sigmoid_grad,
};

/* y = sin x:  dx = g cos x */
static int sin_grad(td_grad *g) {
    g->gin[0] = g_mul(g, g->gout[0], g_unary(g, &td_op_cos, g->in[0]));
    return 0;
}

TD_UNARY(sin, TD_UNARY_SIN)
TD_OP(sin) = {
    .name = "sin",
    .doc = "The sine of each element, in radians.\n\n"
           "  tide.tensor{0}:sin():item()  --> 0.0",
    UNARY_OP(sin, TD_OP_FLOAT),
    .save = TD_SAVE_IN(0),
    .grad = sin_grad,
};

/* y = cos x:  dx = -g sin x */
static int cos_grad(td_grad *g) {
    g->gin[0] = g_neg(g, g_mul(g, g->gout[0], g_unary(g, &td_op_sin, g->in[0])));
    return 0;
}

TD_UNARY(cos, TD_UNARY_COS)
TD_OP(cos) = {
    .name = "cos",
    .doc = "The cosine of each element, in radians.\n\n"
           "  tide.tensor{0}:cos():item()  --> 1.0",
    UNARY_OP(cos, TD_OP_FLOAT),
    .save = TD_SAVE_IN(0),
    .grad = cos_grad,
};

/* dx = g 2 / sqrt(pi) e^(-x^2) */
static int erf_grad(td_grad *g) {
    td_val *bell = g_unary(g, &td_op_exp, g_neg(g, g_unary(g, &td_op_square, g->in[0])));
    g->gin[0] = g_mul(g, g->gout[0], g_mul(g, bell, g_num(g, 2 / sqrt(acos(-1)))));
    return 0;
}

TD_UNARY(erf, TD_UNARY_ERF)
TD_OP(erf) = {
    .name = "erf",
    .doc = "The error function of each element, 2 / sqrt(pi) times the integral of "
           "e^-t^2 from 0 to x.\n\n"
           "  tide.tensor{0}:erf():item()  --> 0.0",
    UNARY_OP(erf, TD_OP_FLOAT),
    .save = TD_SAVE_IN(0),
    .grad = erf_grad,
};

/* y = ln(1 + x):  dx = g / (1 + x) */
static int log1p_grad(td_grad *g) {
    g->gin[0] = g_div(g, g->gout[0], g_add(g, g->in[0], g_num(g, 1)));
    return 0;
}

TD_UNARY(log1p, TD_UNARY_LOG1P)
TD_OP(log1p) = {
    .name = "log1p",
    .doc = "The logarithm of 1 + x, exact for small x.\n\n"
           "  tide.tensor{0}:log1p():item()  --> 0.0",
    UNARY_OP(log1p, TD_OP_FLOAT),
    .save = TD_SAVE_IN(0),
    .grad = log1p_grad,
};

/* y = e^x - 1:  dx = g (y + 1) */
static int expm1_grad(td_grad *g) {
    g->gin[0] = g_mul(g, g->gout[0], g_add(g, g->out[0], g_num(g, 1)));
    return 0;
}

TD_UNARY(expm1, TD_UNARY_EXPM1)
TD_OP(expm1) = {
    .name = "expm1",
    .doc = "The exponential minus 1, e^x - 1, exact for small x.\n\n"
           "  tide.tensor{0}:expm1():item()  --> 0.0",
    UNARY_OP(expm1, TD_OP_FLOAT),
    .save = TD_SAVE_OUT(0),
    .grad = expm1_grad,
};

/* y = ln(1 + e^x):  dx = g sigmoid(x) */
static int softplus_grad(td_grad *g) {
    g->gin[0] = g_mul(g, g->gout[0], g_unary(g, &td_op_sigmoid, g->in[0]));
    return 0;
}

TD_UNARY(softplus, TD_UNARY_SOFTPLUS)
TD_OP(softplus) = {
    .name = "softplus",
    .doc = "The smooth rectifier of each element, ln(1 + e^x).\n\n"
           "  tide.tensor{-1000}:softplus():item()  --> 0.0",
    UNARY_OP(softplus, TD_OP_FLOAT),
    .save = TD_SAVE_IN(0),
    .grad = softplus_grad,
};
