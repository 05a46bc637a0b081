/* Arithmetic of two tensors. Inputs are brought to one dtype and broadcast; integers wrap; on bool, add
 * and maximum are `or`, mul and minimum are `and`. */
#include <math.h>

#include "vm/ops/elementwise.h"

TD_OP_USE(eq);
TD_OP_USE(floor_divide);
TD_OP_USE(ge);
TD_OP_USE(gt);
TD_OP_USE(log);
TD_OP_USE(logical_and);
TD_OP_USE(lt);
TD_OP_USE(pow);
TD_OP_USE(where);

#define ARITHMETIC (TD_OP_METHOD | TD_OP_FUNCTION | TD_OP_PROMOTE | TD_OP_ELEMENTWISE)

TD_BINARY(add, TD_BINARY_ADD)
TD_BINARY(sub, TD_BINARY_SUB)
TD_BINARY(mul, TD_BINARY_MUL)
TD_BINARY(div, TD_BINARY_DIV)
TD_BINARY(pow, TD_BINARY_POW)
TD_BINARY(maximum, TD_BINARY_MAXIMUM)
TD_BINARY(minimum, TD_BINARY_MINIMUM)
TD_BINARY(remainder, TD_BINARY_REMAINDER)
TD_BINARY(floor_divide, TD_BINARY_FLOOR_DIVIDE)

/* y = a + b:  da = db = g */
static int add_grad(td_grad *g) {
    g->gin[0] = g->gin[1] = g->gout[0];
    return 0;
}

TD_OP(add) = {
    .name = "add",
    .doc = "The sum a + b of two tensors, element by element.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  (tide.tensor{1, 2} + tide.tensor{{10}, {20}}):sum():item()  --> 66.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .shape = td_shape_elementwise,
    .inner = add_inner,
    .grad = add_grad,
};

/* y = a - b:  da = g,  db = -g */
static int sub_grad(td_grad *g) {
    g->gin[0] = g->gout[0];
    if (g->need[1]) g->gin[1] = g_neg(g, g->gout[0]);
    return 0;
}

TD_OP(sub) = {
    .name = "sub",
    .doc = "The difference a - b of two tensors, element by element.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  (tide.tensor{5, 7} - 1):sum():item()  --> 10.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .shape = td_shape_elementwise,
    .inner = sub_inner,
    .grad = sub_grad,
};

/* y = a b:  da = g b,  db = g a */
static int mul_grad(td_grad *g) {
    if (g->need[0]) g->gin[0] = g_mul(g, g->gout[0], g->in[1]);
    if (g->need[1]) g->gin[1] = g_mul(g, g->gout[0], g->in[0]);
    return 0;
}

TD_OP(mul) = {
    .name = "mul",
    .doc = "The product a * b of two tensors, element by element.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  (tide.tensor{5, 7} * 2):sum():item()  --> 24.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .shape = td_shape_elementwise,
    .inner = mul_inner,
    .grad = mul_grad,
};

/* y = a / b:  da = g / b,  db = -g y / b */
static int div_grad(td_grad *g) {
    td_val *over = g_div(g, g->gout[0], g->in[1]);
    g->gin[0] = over;
    if (g->need[1]) g->gin[1] = g_neg(g, g_mul(g, over, g->out[0]));
    return 0;
}

TD_OP(div) = {
    .name = "div",
    .doc = "The quotient a / b of two tensors, element by element; integers give floats, "
           "as in Lua.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  (tide.tensor{5, 7} / 2):sum():item()  --> 6.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC | TD_OP_FLOAT,
    .save = TD_SAVE_IN(1) | TD_SAVE_OUT(0),
    .shape = td_shape_elementwise,
    .inner = div_inner,
    .grad = div_grad,
};

/* y = a^b:  da = g b a^(b-1), which is 0 for b = 0;  db = g y ln a, which is 0 where a = 0 and b >= 0.
 * A plain number is looked at here: operations on numbers alone would be made here, and not go with what
 * is at a worker. */
static td_val *pow_base_grad(td_grad *g, td_val *a, td_val *b) {
    if (b->meta.weak) {
        double exponent = td_load_f64(b->meta.dtype, b->t->storage->data);
        if (exponent == 0) return g_zeros(g, &g->in_meta[0], a);
        return g_mul(g, b, g_binary(g, &td_op_pow, a, g_num(g, exponent - 1)));
    }
    td_val *zero = g_num(g, 0),
           *lower = g_binary(g, &td_op_pow, a, g_sub(g, b, g_num(g, 1)));
    td_val *in[3] = {g_binary(g, &td_op_eq, b, zero), zero, g_mul(g, b, lower)};
    return g_op(g, &td_op_where, NULL, 3, in);
}

static td_val *pow_exponent_grad(td_grad *g, td_val *a, td_val *b) {
    td_val *zero = g_num(g, 0), *flat = g_binary(g, &td_op_ge, b, zero), *slope;
    if (a->meta.weak) {
        double base = td_load_f64(a->meta.dtype, a->t->storage->data);
        slope = g_mul(g, g->out[0], g_num(g, log(base)));
        if (base != 0) return slope;
    } else {
        slope = g_mul(g, g->out[0], g_unary(g, &td_op_log, a));
        flat = g_binary(g, &td_op_logical_and, g_binary(g, &td_op_eq, a, zero), flat);
    }
    td_val *in[3] = {flat, zero, slope};
    return g_op(g, &td_op_where, NULL, 3, in);
}

static int pow_grad(td_grad *g) {
    if (g->need[0])
        g->gin[0] = g_mul(g, g->gout[0], pow_base_grad(g, g->in[0], g->in[1]));
    if (g->need[1])
        g->gin[1] = g_mul(g, g->gout[0], pow_exponent_grad(g, g->in[0], g->in[1]));
    return 0;
}

/* Is any element of an integer tensor what the caller looks for? */
static bool any_integer(const td_tensor *x, bool (*is)(int64_t)) {
    int64_t index[TD_MAX_DIM] = {0};
    for (int64_t n = td_tensor_numel(x); n > 0; n--) {
        if (is(td_load_i64(x->dtype, td_tensor_at(x, index)))) return true;
        for (int d = x->shape.ndim - 1; d >= 0 && ++index[d] == x->shape.dim[d]; d--)
            index[d] = 0;
    }
    return false;
}

static bool is_negative(int64_t v) { return v < 0; }
static bool is_zero(int64_t v) { return v == 0; }

static int pow_check(td_tensor *const *in, int nin, const td_attrs *a, td_err *err) {
    (void)nin, (void)a;
    if (td_dtype_is_float(in[1]->dtype) || !any_integer(in[1], is_negative)) return 0;
    td_fail(err, TD_E_VALUE, "pow", "a negative exponent with integers");
    td_hint(err, "convert the base first: x:to(\"f32\")");
    return TD_E_VALUE;
}

TD_OP(pow) = {
    .name = "pow",
    .doc = "The power a ^ b of two tensors, element by element; integers stay integers "
           "and wrap.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  (tide.tensor{1, 2, 3} ^ 2):sum():item()  --> 14.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1) | TD_SAVE_OUT(0),
    .shape = td_shape_elementwise,
    .check = pow_check,
    .inner = pow_inner,
    .grad = pow_grad,
};

/* The larger takes the gradient; where both are equal each takes half. wins: gt for a maximum. */
static int choice_grad(td_grad *g, const td_op *wins) {
    td_val *a = g->in[0], *b = g->in[1], *zero = g_num(g, 0);
    td_val *half = g_mul(g, g->gout[0], g_num(g, 0.5));
    td_val *tie[3] = {g_binary(g, &td_op_eq, a, b), half, zero};
    td_val *shared = g_op(g, &td_op_where, NULL, 3, tie);
    for (int i = 0; i < 2; i++) {
        if (!g->need[i]) continue;
        td_val *won = g_binary(g, wins, g->in[i], g->in[1 - i]);
        td_val *in[3] = {won, g->gout[0], shared};
        g->gin[i] = g_op(g, &td_op_where, NULL, 3, in);
    }
    return 0;
}

static int maximum_grad(td_grad *g) { return choice_grad(g, &td_op_gt); }
static int minimum_grad(td_grad *g) { return choice_grad(g, &td_op_lt); }

TD_OP(maximum) = {
    .name = "maximum",
    .doc = "The larger of two tensors, element by element; NaN where either is NaN.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  tide.maximum(tide.tensor{1, 5}, 3):sum():item()  --> 8.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .shape = td_shape_elementwise,
    .inner = maximum_inner,
    .grad = maximum_grad,
};

TD_OP(minimum) = {
    .name = "minimum",
    .doc = "The smaller of two tensors, element by element; NaN where either is NaN.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast\n\n"
           "  tide.minimum(tide.tensor{1, 5}, 3):sum():item()  --> 4.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .shape = td_shape_elementwise,
    .inner = minimum_inner,
    .grad = minimum_grad,
};

static int division_check(const char *call, td_tensor *const *in, td_err *err) {
    if (td_dtype_is_float(in[1]->dtype) || !any_integer(in[1], is_zero)) return 0;
    return td_fail(err, TD_E_VALUE, call, "an integer division by zero");
}

static int remainder_check(td_tensor *const *in, int nin, const td_attrs *a,
                           td_err *err) {
    (void)nin, (void)a;
    return division_check("remainder", in, err);
}

static int floor_divide_check(td_tensor *const *in, int nin, const td_attrs *a,
                              td_err *err) {
    (void)nin, (void)a;
    return division_check("floor_divide", in, err);
}

/* y = a - b floor(a / b):  da = g,  db = -g floor(a / b) */
static int remainder_grad(td_grad *g) {
    g->gin[0] = g->gout[0];
    if (g->need[1]) {
        td_val *q = g_binary(g, &td_op_floor_divide, g->in[0], g->in[1]);
        g->gin[1] = g_neg(g, g_mul(g, g->gout[0], q));
    }
    return 0;
}

TD_OP(remainder) = {
    .name = "remainder",
    .doc = "What a division leaves, a % b, with the sign of b, as Lua's %.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast; an integer b must not be "
           "0\n\n"
           "  (tide.tensor{-5} % 3):item()  --> 1.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .save = TD_SAVE_IN(0) | TD_SAVE_IN(1),
    .shape = td_shape_elementwise,
    .check = remainder_check,
    .inner = remainder_inner,
    .grad = remainder_grad,
};

TD_OP(floor_divide) = {
    .name = "floor_divide",
    .doc = "The quotient rounded down, a // b, as Lua's //; it has no gradient.\n\n"
           "  a, b  tensors or numbers whose shapes broadcast; an integer b must not be "
           "0\n\n"
           "  (tide.tensor{-5} // 3):item()  --> -2.0",
    .nin = 2,
    .nout = 1,
    .flags = ARITHMETIC,
    .shape = td_shape_elementwise,
    .check = floor_divide_check,
    .inner = floor_divide_inner,
};
