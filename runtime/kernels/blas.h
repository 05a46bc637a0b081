/* Matrix products: OpenBLAS for f32 and f64, plain loops for integers. The only file that knows cblas
 * is blas.c. One thread; an algorithm is chosen by shape and layout alone. */
#ifndef TD_BLAS_H
#define TD_BLAS_H

#include <stdbool.h>

#include "runtime/dtype.h"

/* A matrix in somebody's memory: element (i, j) stands at data[i * row + j * col], strides in elements. */
typedef struct td_matrix {
    const void *data;
    int64_t row, col;
} td_matrix;

/* Can BLAS read a matrix of these sizes where it lies? One of its strides must be 1, and the other a
 * leading dimension. td_gemm takes any strides, but is slow with those that BLAS does not read. */
bool td_gemm_reads(const td_matrix *m, int64_t rows, int64_t cols);

/* c = a * b + beta * c, with a m x k, b k x n, and c m x n with rows of ldc elements. beta is 0 (c need
 * not be set before) or 1. k may be 0. Integers wrap. t is F64, F32, I64, I32 or U8. */
void td_gemm(td_dtype t, int64_t m, int64_t n, int64_t k, td_matrix a, td_matrix b,
             int beta, void *c, int64_t ldc);

#endif
