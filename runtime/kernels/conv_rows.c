/* Rows of images for the convolution kernels. */
#include "runtime/kernels/conv_rows.h"

#include <string.h>

#include "runtime/mem.h"

td_span td_conv_inside(int64_t first, int64_t step, int64_t count, int64_t size) {
    int64_t from = first < 0 ? (-first + step - 1) / step : 0;
    int64_t to = first < size ? (size - 1 - first) / step + 1 : 0;
    if (to > count) to = count;
    return (td_span){from < to ? from : to, to};
}

/* Columns that windows meet, padding included. */
static int64_t columns(const td_conv *v) {
    return (v->ow - 1) * v->sw + (v->kw - 1) * v->dw + 1;
}

td_conv_lines td_conv_lines_of(const td_conv *v, int64_t rows) {
    int64_t channels = v->groups * v->c, width = columns(v);
    bool fits = v->pw <= 0 && width - v->pw <= v->w;
    td_conv_lines s = {.pitch = v->w, .pixel = channels, .group = v->c};
    s.is_copy = !fits || (v->groups > 1 && v->kw > 1);
    s.is_whole = v->kw == 1 ? fits : v->dw == 1 && (fits || width <= 4 * (v->w + v->kw));
    if (!s.is_whole) s.is_copy = false;
    if (!s.is_copy) {
        s.left = s.is_whole ? -v->pw * channels : 0;
    } else {
        s.pitch = width;
        s.pixel = v->c;
        s.group = rows * width * v->c;
    }
    return s;
}

int td_conv_lines_bytes(const td_conv_lines *s, const td_conv *v, int64_t rows,
                        size_t each, size_t *bytes, td_err *err) {
    *bytes = 0;
    if (!s->is_copy) return 0;
    if (td_mul_size((size_t)rows, (size_t)s->pitch, bytes) &&
        td_mul_size(*bytes, (size_t)(v->groups * v->c), bytes) &&
        td_mul_size(*bytes, each, bytes))
        return 0;
    return td_fail(err, TD_E_LIMIT, "", "%lld rows of %lldx%lld are too large",
                   (long long)rows, (long long)s->pitch, (long long)(v->groups * v->c));
}

const char *td_conv_lines_make(const td_conv_lines *s, const td_conv *v, size_t each,
                               const char *image, int64_t from, int64_t to, char *copy) {
    int64_t channels = v->groups * v->c, e = (int64_t)each;
    if (!s->is_copy) return image + (from * v->w * channels + s->left) * e;
    /* Columns of the copy that lie in the image. */
    td_span q = td_conv_inside(-v->pw, 1, s->pitch, v->w);
    size_t line = (size_t)(s->pitch * s->pixel) * each;
    size_t before = (size_t)(q.from * s->pixel) * each;
    size_t pixel = (size_t)s->pixel * each, middle = (size_t)(q.to - q.from) * pixel;
    for (int64_t g = 0; g < v->groups; g++) {
        char *to_line = copy + g * s->group * e;
        for (int64_t y = from; y < to; y++, to_line += line) {
            const char *row =
                image + ((y * v->w + q.from - v->pw) * channels + g * v->c) * e;
            memset(to_line, 0, before);
            char *at = to_line + before;
            if (v->groups == 1)
                memcpy(at, row, middle);
            else
                for (int64_t x = q.from; x < q.to; x++)
                    memcpy(at + (size_t)(x - q.from) * pixel,
                           row + (x - q.from) * channels * e, pixel);
            memset(at + middle, 0, line - before - middle);
        }
    }
    return copy;
}

void td_conv_failed(td_conv_failure *f, const td_err *err) {
    int none = 0;
    if (atomic_compare_exchange_strong(&f->code, &none, err->code)) f->err = *err;
}

int td_conv_failure_take(td_conv_failure *f, td_err *err) {
    int code = atomic_load(&f->code);
    if (code && err) *err = f->err;
    return code;
}
