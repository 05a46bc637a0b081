/* The loops of depthwise convolutions, compiled once for each processor level. */
#include "runtime/cpu.h"
#include "runtime/kernels/conv_depth.h"
#include "runtime/kernels/product_vector.h"

#define S f32
#define REAL float
#include "runtime/kernels/conv_depth_typed.h"
#undef S
#undef REAL
#define S f64
#define REAL double
#include "runtime/kernels/conv_depth_typed.h"

extern const td_depth_level TD_LEVELED(td_depth_level);
const td_depth_level TD_LEVELED(td_depth_level) = {
    .f32 = {pixel_f32, row_f32},
    .f64 = {pixel_f64, row_f64},
};
