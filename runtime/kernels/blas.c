/* Matrix products on raw pointers. Called by the matmul and convolution kernels. */
#include "runtime/kernels/blas.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

/* cblas counts in int. Longer loops are cut into pieces of this. */
#define PIECE ((int64_t)1 << 30)

/* How cblas is told of a matrix that lies by rows, or by columns. */
typedef struct layout {
    CBLAS_TRANSPOSE trans;
    int ld;
} layout;

static bool layout_of(const td_matrix *m, int64_t rows, int64_t cols, layout *out) {
    int64_t lead;
    if (m->col == 1 || cols == 1) {
        out->trans = CblasNoTrans;
        lead = rows > 1 ? m->row : cols;
        if (lead < cols) return false;
    } else if (m->row == 1 || rows == 1) {
        out->trans = CblasTrans;
        lead = cols > 1 ? m->col : rows;
        if (lead < rows) return false;
    } else {
        return false;
    }
    if (lead > INT_MAX) return false;
    out->ld = lead > 0 ? (int)lead : 1;
    return true;
}

bool td_gemm_reads(const td_matrix *m, int64_t rows, int64_t cols) {
    layout unused;
    return layout_of(m, rows, cols, &unused);
}

static const void *at(td_dtype t, const void *base, int64_t elements) {
    return (const char *)base + elements * (int64_t)td_dtype_bytes(t);
}

/* A product with a column or a row is a pass over the matrix: gemv does not repack it. */
static void piece_by_vector(td_dtype t, layout l, int64_t rows, int64_t cols,
                            const void *matrix, const void *x, int64_t incx, int beta,
                            void *y, int64_t incy) {
    /* What cblas calls the matrix is what lies there by rows. */
    int r = (int)(l.trans == CblasNoTrans ? rows : cols);
    int c = (int)(l.trans == CblasNoTrans ? cols : rows);
    if (t == TD_F32)
        cblas_sgemv(CblasRowMajor, l.trans, r, c, 1, matrix, l.ld, x, (int)incx,
                    (float)beta, y, (int)incy);
    else
        cblas_dgemv(CblasRowMajor, l.trans, r, c, 1, matrix, l.ld, x, (int)incx, beta, y,
                    (int)incy);
}

static layout turned(layout l) {
    l.trans = l.trans == CblasNoTrans ? CblasTrans : CblasNoTrans;
    return l;
}

static bool is_step(int64_t stride) { return stride > 0 && stride <= INT_MAX; }

static void gemm_piece(td_dtype t, int64_t m, int64_t n, int64_t k, td_matrix a,
                       layout la, td_matrix b, layout lb, int beta, void *c,
                       int64_t ldc) {
    if (n == 1 && is_step(b.row) && is_step(ldc)) {
        piece_by_vector(t, la, m, k, a.data, b.data, b.row, beta, c, ldc);
    } else if (m == 1 && is_step(a.col)) {
        piece_by_vector(t, turned(lb), n, k, b.data, a.data, a.col, beta, c, 1);
    } else if (t == TD_F32) {
        cblas_sgemm(CblasRowMajor, la.trans, lb.trans, (int)m, (int)n, (int)k, 1, a.data,
                    la.ld, b.data, lb.ld, (float)beta, c, (int)ldc);
    } else {
        cblas_dgemm(CblasRowMajor, la.trans, lb.trans, (int)m, (int)n, (int)k, 1, a.data,
                    la.ld, b.data, lb.ld, beta, c, (int)ldc);
    }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void gemm_blas(td_dtype t, int64_t m, int64_t n, int64_t k, td_matrix a, layout la,
                      td_matrix b, layout lb, int beta, void *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i += PIECE)
        for (int64_t j = 0; j < n; j += PIECE)
            for (int64_t p = 0; p < k; p += PIECE) {
                td_matrix pa = {at(t, a.data, i * a.row + p * a.col), a.row, a.col};
                td_matrix pb = {at(t, b.data, p * b.row + j * b.col), b.row, b.col};
                gemm_piece(t, least(PIECE, m - i), least(PIECE, n - j),
                           least(PIECE, k - p), pa, la, pb, lb, p > 0 ? 1 : beta,
                           (char *)c + (i * ldc + j) * (int64_t)td_dtype_bytes(t), ldc);
            }
}

/* Rows of b run innermost, so that the sums go along memory; unsigned arithmetic wraps. */
#define GEMM_LOOPS(name, type)                                                           \
    static void name(int64_t m, int64_t n, int64_t k, td_matrix ma, td_matrix mb,        \
                     type *c, int64_t ldc) {                                             \
        const type *a = ma.data, *b = mb.data;                                           \
        for (int64_t i = 0; i < m; i++)                                                  \
            for (int64_t p = 0; p < k; p++) {                                            \
                type s = a[i * ma.row + p * ma.col];                                     \
                const type *from = b + p * mb.row;                                       \
                type *to = c + i * ldc;                                                  \
                if (mb.col == 1)                                                         \
                    for (int64_t j = 0; j < n; j++) to[j] = (type)(to[j] + s * from[j]); \
                else                                                                     \
                    for (int64_t j = 0; j < n; j++)                                      \
                        to[j] = (type)(to[j] + s * from[j * mb.col]);                    \
            }                                                                            \
    }
GEMM_LOOPS(gemm_f64, double)
GEMM_LOOPS(gemm_f32, float)
GEMM_LOOPS(gemm_u64, uint64_t)
GEMM_LOOPS(gemm_u32, uint32_t)
GEMM_LOOPS(gemm_u8, uint8_t)
#undef GEMM_LOOPS

void td_gemm(td_dtype t, int64_t m, int64_t n, int64_t k, td_matrix a, td_matrix b,
             int beta, void *c, int64_t ldc) {
    if (m == 0 || n == 0) return;
    layout la, lb;
    bool blas = k > 0 && (t == TD_F32 || t == TD_F64) && ldc >= n && ldc <= INT_MAX &&
                layout_of(&a, m, k, &la) && layout_of(&b, k, n, &lb);
    if (blas) {
        gemm_blas(t, m, n, k, a, la, b, lb, beta, c, ldc);
        return;
    }
    size_t row_bytes = (size_t)n * td_dtype_bytes(t);
    for (int64_t i = 0; beta == 0 && i < m; i++)
        memset((char *)c + i * ldc * (int64_t)td_dtype_bytes(t), 0, row_bytes);
    switch (t) {
    case TD_F64: gemm_f64(m, n, k, a, b, c, ldc); break;
    case TD_F32: gemm_f32(m, n, k, a, b, c, ldc); break;
    case TD_I64: gemm_u64(m, n, k, a, b, c, ldc); break;
    case TD_I32: gemm_u32(m, n, k, a, b, c, ldc); break;
    default: gemm_u8(m, n, k, a, b, c, ldc);
    }
}
