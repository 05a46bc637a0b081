/* Rows of sum_rows and add_rows. */
#include "tests/ops/rows.h"

static void sum_rows_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin, (void)a;
    const rt *rows = &in[0], *ids = &in[1];
    int64_t n = rows->dim[0], width = rows->dim[1];
    rt_like(&out[0], rows);
    rt_like(&out[1], ids);
    for (int64_t i = 0; i < n; i++) {
        int64_t first = 0;
        while (ids->v[first] != ids->v[i]) first++;
        out[1].v[i] = first == i;
        for (int64_t j = 0; j < width; j++)
            out[0].v[first * width + j] += rows->v[i * width + j];
    }
}

OP_ROW(sum_rows) = {
    .op = "sum_rows",
    .dtypes = OP_NUMBERS,
    .ref = sum_rows_ref,
    CASES({.in = {{"5x3"}, {"5", TD_I64, VALUES(4, 2, 4, -7, 2)}}},
          {.in = {{"4x1"}, {"4", TD_I64, VALUES(0, 0, 0, 0)}}},
          {.in = {{"40x2"}, {"40", TD_I64, .low = 0, .high = 9}}},
          {.in = {{"100x1"}, {"100", TD_I64, .low = -1e15, .high = 1e15}}},
          {.in = {{"0x3"}, {"0", TD_I64}}}, {.in = {{"3x0"}, {"3", TD_I64}}},
          {.in = {{"3x2"}, {"3", TD_I32}}, .error = "sum_rows: ids are i64, got i32"},
          {.in = {{"3x2"}, {"2", TD_I64}},
           .error = "sum_rows: wants rows [n, width] and ids [n], got 3x2 and 2"},
          {.in = {{"3"}, {"3", TD_I64}},
           .error = "sum_rows: wants rows [n, width] and ids [n], got 3 and 3"}),
};

static void add_rows_ref(const rt *in, int nin, const td_attrs *a, rt *out) {
    (void)nin, (void)a;
    rt_like(out, &in[0]);
    int64_t width = in[0].dim[1];
    for (int64_t i = 0; i < rt_numel(out); i++) out->v[i] = in[0].v[i];
    for (int64_t i = 0; i < rt_numel(&in[2]); i++)
        out->v[(int64_t)in[1].v[i / width] * width + i % width] += in[2].v[i];
}

OP_ROW(add_rows) = {
    .op = "add_rows",
    .dtypes = OP_NUMBERS,
    .ref = add_rows_ref,
    CASES({.in = {{"4x3"}, {"3", TD_I64, VALUES(2, 0, 2)}, {"3x3"}},
           .flags = OP_NO_LAYOUTS},
          {.in = {{"1x1"}, {"2", TD_I64, VALUES(0, 0)}, {"2x1"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"4x3"}, {"0", TD_I64}, {"0x3"}}, .flags = OP_NO_LAYOUTS},
          {.in = {{"4x3"}, {"2", TD_I64, VALUES(3, 4)}, {"2x3"}},
           .error = "add_rows: id 4 of 4 rows (ids count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"4x3"}, {"2", TD_I64, VALUES(0, -1)}, {"2x3"}},
           .error = "add_rows: id -1 of 4 rows (ids count from 0)",
           .flags = OP_NO_LAYOUTS},
          {.in = {{"4x3"}, {"2", TD_I64}, {"2x4"}},
           .error = "add_rows: rows of 2x4 do not go into 4x3"},
          {.in = {{"4"}, {"2", TD_I64}, {"2x4"}},
           .error = "add_rows: rows of 2x4 do not go into 4"},
          {.in = {{"4x3"}, {"3", TD_I64}, {"2x3"}},
           .error = "add_rows: wants rows [n, width] and ids [n], got 2x3 and 3"},
          {.in = {{"4x3", TD_F32}, {"2", TD_I64}, {"2x3", TD_F64}},
           .error = "add_rows: rows of f64 are not added to f32"}),
};
