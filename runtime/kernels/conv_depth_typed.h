/* The loops of conv_depth.h for one element type: it defines S and REAL, and includes this. */
#define NAME_(name, s) name##_##s
#define NAME__(name, s) NAME_(name, s)
#define NAME(name) NAME__(name, S)
#define VEC NAME(vec)
#define LANES_ ((int64_t)(VECTOR_BYTES / sizeof(REAL)))

/* `count` whole vectors of channels from c on, side by side: their chains hide each other's latency. */
#define PIXEL(count)                                                                     \
    do {                                                                                 \
        VEC sum[count];                                                                  \
        for (int j = 0; j < count; j++) sum[j] = NAME(zero)();                           \
        for (int64_t i = 0; i < terms; i++) {                                            \
            const REAL *a = (const REAL *)x[i] + c, *b = (const REAL *)w[i] + c;         \
            for (int j = 0; j < count; j++)                                              \
                sum[j] = NAME(link)(NAME(load)(a + j * LANES_),                          \
                                    NAME(load)(b + j * LANES_), sum[j]);                 \
        }                                                                                \
        for (int j = 0; j < count; j++) {                                                \
            if (bias) sum[j] = sum[j] + NAME(load)((const REAL *)bias + c + j * LANES_); \
            if (relu) sum[j] = NAME(relu)(sum[j]);                                       \
            NAME(store)((REAL *)y + c + j * LANES_, sum[j]);                             \
        }                                                                                \
    } while (0)

static void NAME(pixel)(int64_t terms, const void *const *x, const void *const *w,
                        int64_t channels, const void *bias, bool relu, void *y) {
    int64_t c = 0;
    for (; c + 6 * LANES_ <= channels; c += 6 * LANES_) PIXEL(6);
    for (; c + 2 * LANES_ <= channels; c += 2 * LANES_) PIXEL(2);
    for (; c + LANES_ <= channels; c += LANES_) PIXEL(1);
    if (c == channels) return;
    NAME(mask) part = NAME(mask_of)(channels - c);
    VEC sum = NAME(zero)();
    for (int64_t i = 0; i < terms; i++)
        sum = NAME(link)(NAME(load_part)((const REAL *)x[i] + c, part),
                         NAME(load_part)((const REAL *)w[i] + c, part), sum);
    if (bias) sum = sum + NAME(load_part)((const REAL *)bias + c, part);
    if (relu) sum = NAME(relu)(sum);
    NAME(store_part)((REAL *)y + c, part, sum);
}

#define ROW(count)                                                                       \
    do {                                                                                 \
        VEC sum[count];                                                                  \
        for (int j = 0; j < count; j++)                                                  \
            sum[j] = NAME(load)((REAL *)total + c + j * LANES_);                         \
        const REAL *at = (const REAL *)a + c, *bt = (const REAL *)b + c;                 \
        for (int64_t i = 0; i < terms; i++, at += a_step, bt += b_step)                  \
            for (int j = 0; j < count; j++)                                              \
                sum[j] = NAME(link)(NAME(load)(at + j * LANES_),                         \
                                    NAME(load)(bt + j * LANES_), sum[j]);                \
        for (int j = 0; j < count; j++)                                                  \
            NAME(store)((REAL *)total + c + j * LANES_, sum[j]);                         \
    } while (0)

static void NAME(row)(int64_t terms, const void *a, int64_t a_step, const void *b,
                      int64_t b_step, int64_t channels, void *total) {
    int64_t c = 0;
    for (; c + 6 * LANES_ <= channels; c += 6 * LANES_) ROW(6);
    for (; c + 2 * LANES_ <= channels; c += 2 * LANES_) ROW(2);
    for (; c + LANES_ <= channels; c += LANES_) ROW(1);
    if (c == channels) return;
    NAME(mask) part = NAME(mask_of)(channels - c);
    VEC sum = NAME(load_part)((const REAL *)total + c, part);
    const REAL *at = (const REAL *)a + c, *bt = (const REAL *)b + c;
    for (int64_t i = 0; i < terms; i++, at += a_step, bt += b_step)
        sum = NAME(link)(NAME(load_part)(at, part), NAME(load_part)(bt, part), sum);
    NAME(store_part)((REAL *)total + c, part, sum);
}

#undef NAME_
#undef NAME__
#undef NAME
#undef VEC
#undef LANES_
#undef PIXEL
#undef ROW
