/* The transforms of conv_winograd.h for one element type: it defines S and REAL, and includes this. */
#define NAME_(name, s) name##_##s
#define NAME__(name, s) NAME_(name, s)
#define NAME(name) NAME__(name, S)
#define VEC NAME(vec)
#define LANES_ ((int64_t)(VECTOR_BYTES / sizeof(REAL)))
#define LOAD NAME(load)
#define STORE NAME(store)
#define LINK NAME(link) /* LINK(a, b, c) = a b + c */

#define ROOT_HALF NAME(spread)((REAL)0.70710678118654752440)
#define ROOT_TWO NAME(spread)((REAL)1.41421356237309504880)
#define NUMBER(x) NAME(spread)((REAL)(x))

/* Six numbers of B' d. */
INLINE void NAME(image_line)(const VEC d[6], VEC to[6]) {
    VEC even = LINK(NUMBER(-2), d[2], d[4]), odd = LINK(NUMBER(-2), d[1], d[3]);
    to[0] = LINK(NUMBER(-2.5), d[2], d[4] + d[0]);
    to[1] = LINK(ROOT_HALF, odd, even);
    to[2] = LINK(-ROOT_HALF, odd, even);
    even = LINK(NUMBER(-0.5), d[2], d[4]), odd = LINK(NUMBER(-0.5), d[1], d[3]);
    to[3] = LINK(ROOT_TWO, odd, even);
    to[4] = LINK(-ROOT_TWO, odd, even);
    to[5] = LINK(NUMBER(-2.5), d[3], d[5] + d[1]);
}

/* Four numbers of A' m. */
INLINE void NAME(result_line)(const VEC m[6], VEC to[4]) {
    VEC sum_a = m[1] + m[2], sum_b = m[3] + m[4];
    VEC a = ROOT_HALF * (m[1] - m[2]), b = ROOT_TWO * (m[3] - m[4]);
    to[0] = m[0] + sum_a + sum_b;
    to[1] = a + b;
    to[2] = LINK(NUMBER(0.5), sum_a, sum_b + sum_b);
    to[3] = LINK(NUMBER(0.5), a, LINK(NUMBER(2), b, m[5]));
}

/* Six numbers of A y. */
INLINE void NAME(gradient_line)(const VEC y[4], VEC to[6]) {
    VEC even = LINK(NUMBER(0.5), y[2], y[0]), odd = LINK(NUMBER(0.5), y[3], y[1]);
    to[0] = y[0];
    to[1] = LINK(ROOT_HALF, odd, even);
    to[2] = LINK(-ROOT_HALF, odd, even);
    even = LINK(NUMBER(2), y[2], y[0]), odd = LINK(NUMBER(2), y[3], y[1]);
    to[3] = LINK(ROOT_TWO, odd, even);
    to[4] = LINK(-ROOT_TWO, odd, even);
    to[5] = y[3];
}

static void NAME(image)(const void *const pixel[36], int64_t channels, void *to,
                        int64_t plane) {
    for (int64_t c = 0; c < channels; c += LANES_) {
        VEC half[6][6], line[6], turned[6];
        for (int x = 0; x < 6; x++) {
            for (int y = 0; y < 6; y++)
                line[y] = LOAD((const REAL *)pixel[6 * y + x] + c);
            NAME(image_line)(line, turned);
            for (int y = 0; y < 6; y++) half[y][x] = turned[y];
        }
        REAL *at = (REAL *)to + c;
        for (int y = 0; y < 6; y++) {
            NAME(image_line)(half[y], line);
            for (int x = 0; x < 6; x++, at += plane) STORE(at, line[x]);
        }
    }
}

static void NAME(result)(const void *from, int64_t plane, int64_t channels,
                         const void *bias, bool relu, void *const pixel[16]) {
    for (int64_t c = 0; c < channels; c += LANES_) {
        const REAL *at = (const REAL *)from + c;
        VEC half[6][4], line[6], turned[4];
        for (int y = 0; y < 6; y++) {
            for (int x = 0; x < 6; x++, at += plane) line[x] = LOAD(at);
            NAME(result_line)(line, half[y]);
        }
        VEC add = bias ? LOAD((const REAL *)bias + c) : NAME(zero)();
        for (int x = 0; x < 4; x++) {
            for (int y = 0; y < 6; y++) line[y] = half[y][x];
            NAME(result_line)(line, turned);
            for (int y = 0; y < 4; y++) {
                VEC v = turned[y];
                if (bias) v = v + add;
                if (relu) v = NAME(relu)(v);
                STORE((REAL *)pixel[4 * y + x] + c, v);
            }
        }
    }
}

static void NAME(gradient)(const void *const pixel[16], int64_t channels, void *to,
                           int64_t plane) {
    for (int64_t c = 0; c < channels; c += LANES_) {
        VEC half[6][4], line[4], turned[6];
        for (int x = 0; x < 4; x++) {
            for (int y = 0; y < 4; y++)
                line[y] = LOAD((const REAL *)pixel[4 * y + x] + c);
            NAME(gradient_line)(line, turned);
            for (int y = 0; y < 6; y++) half[y][x] = turned[y];
        }
        REAL *at = (REAL *)to + c;
        for (int y = 0; y < 6; y++) {
            NAME(gradient_line)(half[y], turned);
            for (int x = 0; x < 6; x++, at += plane) STORE(at, turned[x]);
        }
    }
}

static void NAME(filters)(const void *weight, int64_t between, bool turn, int64_t count,
                          void *to, int64_t plane) {
    const REAL *from = weight;
    for (int64_t first = 0; first < count; first += FILTERS) {
        lanes g[9], points[36];
        for (int l = 0; l < FILTERS; l++, from += between)
            for (int i = 0; i < 9; i++) g[i][l] = (double)from[turn ? 8 - i : i];
        filter_points((const lanes *)g, points);
        REAL *at = (REAL *)to + first;
        for (int i = 0; i < 36; i++, at += plane)
            TD_VECTOR for (int l = 0; l < FILTERS; l++) at[l] = (REAL)points[i][l];
    }
}

static void NAME(filters_back)(const void *from, int64_t plane, int64_t count,
                               void *weight, int64_t between) {
    REAL *to = weight;
    for (int64_t first = 0; first < count; first += FILTERS) {
        lanes g[9], points[36];
        const REAL *at = (const REAL *)from + first;
        for (int i = 0; i < 36; i++, at += plane)
            TD_VECTOR for (int l = 0; l < FILTERS; l++) points[i][l] = (double)at[l];
        filter_points_back((const lanes *)points, g);
        for (int l = 0; l < FILTERS; l++, to += between)
            for (int i = 0; i < 9; i++) to[i] = (REAL)g[i][l];
    }
}

#undef NAME_
#undef NAME__
#undef NAME
#undef VEC
#undef LANES_
#undef LOAD
#undef STORE
#undef LINK
#undef ROOT_HALF
#undef ROOT_TWO
#undef NUMBER
