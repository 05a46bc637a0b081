/* Winograd's transforms, compiled once for each processor level: lanes are channels. */
#include "runtime/kernels/conv_winograd.h"

#include "runtime/cpu.h"
#include "runtime/kernels/product_vector.h"

#define S f32
#define REAL float
#include "runtime/kernels/conv_winograd_typed.h"
#undef S
#undef REAL
#define S f64
#define REAL double
#include "runtime/kernels/conv_winograd_typed.h"

extern const td_winograd_level TD_LEVELED(td_winograd_level);
const td_winograd_level TD_LEVELED(td_winograd_level) = {
    .f32 = {image_f32, result_f32, gradient_f32},
    .f64 = {image_f64, result_f64, gradient_f64},
};
