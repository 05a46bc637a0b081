/* Unpacking with zlib: gzip files and the deflated members of zip files, always with a bound. */
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "runtime/formats/reader.h"
#include "runtime/mem.h"

static voidpf take(voidpf ctx, uInt count, uInt each) {
    (void)ctx;
    return td_new_array(count, each);
}

static void give(voidpf ctx, voidpf p) {
    (void)ctx;
    td_free(p);
}

static int fail_zlib(td_err *err, int code, const z_stream *z, size_t at) {
    if (code == Z_MEM_ERROR) return td_fail(err, TD_E_MEMORY, "", "out of memory");
    if (code == Z_BUF_ERROR)
        return td_fail(err, TD_E_FORMAT, "", "the compressed data end early, at byte %zu",
                       at);
    return td_fail(err, TD_E_FORMAT, "", "bad compressed data at byte %zu: %s", at,
                   z->msg                ? z->msg
                   : code == Z_NEED_DICT ? "wants a dictionary"
                                         : "not in the format");
}

bool td_gzip_is(td_bytes in) {
    return in.count >= 2 && in.at[0] == 0x1f && in.at[1] == 0x8b;
}

/* Runs through all members. With out NULL the bytes are only counted, up to max; otherwise out has room
 * for exactly max. */
static int run_members(td_bytes in, uint8_t *out, size_t max, size_t *count,
                       td_err *err) {
    uint8_t scratch[16384];
    size_t total = 0;
    z_stream z = {.zalloc = take, .zfree = give};
    int code = inflateInit2(&z, 15 + 16); /* a 32 KiB window, a gzip wrapper */
    if (code != Z_OK) return fail_zlib(err, code, &z, 0);
    size_t left = in.count; /* not yet given to zlib, which counts in 32 bits */
    z.next_in = (z_const Bytef *)in.at;
    for (;;) {
        if (z.avail_in == 0) {
            z.avail_in = left < UINT_MAX ? (uInt)left : UINT_MAX;
            left -= z.avail_in;
        }
        size_t room = out ? max - total : sizeof scratch;
        if (room > sizeof scratch) room = sizeof scratch;
        z.next_out = out && room ? out + total : scratch;
        z.avail_out = (uInt)(room ? room : 1); /* one byte more than there may be */
        uInt before = z.avail_out;
        code = inflate(&z, Z_NO_FLUSH);
        total += before - z.avail_out;
        size_t at = in.count - left - z.avail_in;
        if (total > max) {
            td_fail(err, TD_E_LIMIT, "", "unpacks to more than %zu bytes from %zu", max,
                    in.count);
            code = TD_E_LIMIT;
            break;
        }
        if (code == Z_STREAM_END) {
            if (z.avail_in == 0 && left == 0) {
                *count = total;
                code = 0;
                break;
            }
            code = inflateReset(&z); /* another member follows, or rubbish */
        }
        if (code != Z_OK) {
            code = fail_zlib(err, code, &z, at);
            break;
        }
    }
    inflateEnd(&z);
    return code;
}

int td_gzip_unpack(td_bytes in, size_t max_bytes, uint8_t **at, size_t *count,
                   td_err *err) {
    size_t size = 0, again = 0;
    int code = run_members(in, NULL, max_bytes, &size, err);
    if (code != 0) {
        td_err_prefix(err, "gzip: ");
        return code;
    }
    uint8_t *data = td_data_new(size, err);
    if (data == NULL) return TD_E_MEMORY;
    code = run_members(in, data, size, &again, err);
    if (code != 0) {
        td_data_free(data, size);
        td_err_prefix(err, "gzip: ");
        return code;
    }
    *at = data;
    *count = size;
    return 0;
}

int td_deflate_unpack(td_bytes in, uint8_t *out, size_t count, td_err *err) {
    z_stream z = {.zalloc = take, .zfree = give};
    uint8_t none;
    int code = inflateInit2(&z, -15); /* no wrapper */
    if (code != Z_OK) return fail_zlib(err, code, &z, 0);
    size_t in_left = in.count, out_left = count;
    z.next_in = (z_const Bytef *)in.at;
    z.next_out = count ? out : &none;
    do {
        if (z.avail_in == 0) {
            z.avail_in = in_left < UINT_MAX ? (uInt)in_left : UINT_MAX;
            in_left -= z.avail_in;
        }
        if (z.avail_out == 0) {
            z.avail_out = out_left < UINT_MAX ? (uInt)out_left : UINT_MAX;
            out_left -= z.avail_out;
        }
        code = inflate(&z, Z_NO_FLUSH);
    } while (code == Z_OK);
    size_t used = in.count - in_left - z.avail_in, made = count - out_left - z.avail_out;
    if (code == Z_BUF_ERROR && made == count && used < in.count)
        code = td_fail(err, TD_E_FORMAT, "",
                       "unpacks to more than the %zu bytes it announces", count);
    else if (code != Z_STREAM_END)
        code = fail_zlib(err, code, &z, used);
    else if (made != count)
        code = td_fail(err, TD_E_FORMAT, "", "unpacks to %zu bytes, announces %zu", made,
                       count);
    else if (used != in.count)
        code = td_fail(err, TD_E_FORMAT, "", "has %zu compressed bytes, announces %zu",
                       used, in.count);
    else
        code = 0;
    inflateEnd(&z);
    return code;
}
