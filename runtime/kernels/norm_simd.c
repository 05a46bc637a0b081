/* The loops of normalisation, compiled once for each processor level. */
#include "runtime/cpu.h"
#include "runtime/kernels/lanes.h"
#include "runtime/kernels/norm.h"

#define REAL float
#define TYPED(name) name##_f32
#define LOAD8 TD_LOAD_V8_float
#include "runtime/kernels/norm_typed.h"
#undef REAL
#undef TYPED
#undef LOAD8

#define REAL double
#define TYPED(name) name##_f64
#define LOAD8 TD_LOAD_V8_double
#include "runtime/kernels/norm_typed.h"

extern const td_norm_table TD_LEVELED(td_norm_table);
const td_norm_table TD_LEVELED(td_norm_table) = {&loops_f32, &loops_f64};
