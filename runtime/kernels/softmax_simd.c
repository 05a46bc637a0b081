/* The loops of softmax, compiled once for each processor level. */
#include "runtime/cpu.h"
#include "runtime/kernels/lanes.h"
#include "runtime/kernels/math_core.h"
#include "runtime/kernels/softmax.h"

#define TILE TD_SOFTMAX_TILE

/* gcc vectorises a choice in a loop, but not in the straight line that it would make of a short one. */
#if defined(__clang__)
#define ROLLED
#else
#define ROLLED _Pragma("GCC unroll 1")
#endif

#define REAL double
#define TYPED(name) name##_f64
#define EXP td_exp_f64
#define LOG td_log_f64
#define LOAD8 TD_LOAD_V8_double
#include "runtime/kernels/softmax_typed.h"
#undef REAL
#undef TYPED
#undef EXP
#undef LOG
#undef LOAD8

#define REAL float
#define TYPED(name) name##_f32
#define EXP td_exp_f32
#define LOG(x) ((float)td_log_short(x))
#define LOAD8 TD_LOAD_V8_float
#include "runtime/kernels/softmax_typed.h"

extern const td_softmax_table TD_LEVELED(td_softmax_table);
const td_softmax_table TD_LEVELED(td_softmax_table) = {&loops_f32, &loops_f64};
