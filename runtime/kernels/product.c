/* Products: how one is cut. The loops are in product_simd.c. */
#include "runtime/kernels/product.h"

#include "runtime/cpu.h"
#include "runtime/kernels/product_loops.h"

TD_LEVEL_DECLARE(td_product_loops, td_product_loops);

int td_product_run(const td_product *p, td_err *err) {
    (void)err;
    const td_product_loops *loops = TD_LEVEL_PICK(td_product_loops);
    (p->t == TD_F32 ? loops->f32 : loops->f64)(p);
    return 0;
}
