/* Positions of a mask's true elements. Called by the bindings for x[mask]. */
#include "vm/ops/nonzero.h"

td_tensor *td_nonzero(const td_tensor *mask, td_err *err) {
    if (mask->dtype != TD_BOOL) {
        td_fail(err, TD_E_DTYPE, "nonzero", "a mask is bool, got %s",
                td_dtype_name(mask->dtype));
        td_hint(err, "compare first: x:gt(0)");
        return NULL;
    }
    td_tensor *flat = td_tensor_contiguous((td_tensor *)mask, err);
    if (flat == NULL) return NULL;
    const uint8_t *m = td_tensor_data(flat);
    int64_t n = td_tensor_numel(flat), count = 0;
    for (int64_t i = 0; i < n; i++) count += m[i] != 0;
    td_shape shape = {.ndim = 1, .dim = {count}};
    td_tensor *positions = td_tensor_new(TD_I64, &shape, err);
    if (positions) {
        int64_t *to = td_tensor_data(positions);
        for (int64_t i = 0; i < n; i++)
            if (m[i]) *to++ = i + 1;
    }
    td_tensor_unref(&flat);
    return positions;
}
