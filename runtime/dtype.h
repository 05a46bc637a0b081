/* The element types: one table, used by tensors, kernels, files and the wire (numbers are fixed). */
#ifndef TD_DTYPE_H
#define TD_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*     name  number  bytes  kind: 0 bool, 1 integer, 2 float; rank orders promotion within all kinds */
#define TD_DTYPES(X)                                                                     \
    X(F64, "f64", 1, 8, 2, 8)                                                            \
    X(F32, "f32", 2, 4, 2, 7)                                                            \
    X(F16, "f16", 3, 2, 2, 5)                                                            \
    X(BF16, "bf16", 4, 2, 2, 6)                                                          \
    X(I64, "i64", 5, 8, 1, 4)                                                            \
    X(I32, "i32", 6, 4, 1, 3)                                                            \
    X(U8, "u8", 7, 1, 1, 2)                                                              \
    X(BOOL, "bool", 8, 1, 0, 1)

typedef enum td_dtype {
    TD_NONE = 0,
#define TD_X(NAME, word, number, bytes, kind, rank) TD_##NAME = number,
    TD_DTYPES(TD_X)
#undef TD_X
        TD_DTYPE_COUNT
} td_dtype;

size_t td_dtype_bytes(td_dtype t);
const char *td_dtype_name(td_dtype t);
/* The dtype of a name ("f32"), or TD_NONE. */
td_dtype td_dtype_parse(const char *name);
bool td_dtype_is_valid(int number);
bool td_dtype_is_float(td_dtype t); /* f16 and bf16 too */
/* f16 and bf16: for storage and the wire; arithmetic refuses them. */
bool td_dtype_is_half(td_dtype t);
/* The smallest dtype that both go into, as PyTorch has it: any float beats any integer; f16 and bf16
 * give f32. */
td_dtype td_dtype_promote(td_dtype a, td_dtype b);

/* One element as a double (bool 0 or 1; i64 loses bits past 2^53), and back (integers wrap, bool is
 * x != 0, f16 and bf16 round to nearest even). For the edges of the program, not for kernels. */
double td_load_f64(td_dtype t, const void *p);
void td_store_f64(td_dtype t, void *p, double v);
int64_t td_load_i64(td_dtype t, const void *p);
void td_store_i64(td_dtype t, void *p, int64_t v);

float td_f16_to_f32(uint16_t h);
uint16_t td_f32_to_f16(float f);
float td_bf16_to_f32(uint16_t h);
uint16_t td_f32_to_bf16(float f);

#endif
