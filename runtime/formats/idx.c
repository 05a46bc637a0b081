/* IDX, the format of MNIST (described at the foot of its page): two zero bytes, a type, the number of
 * dimensions, their sizes in 32 bits, the elements, all big-endian. */
#include "runtime/formats/reader.h"

int td_idx_read(td_bytes in, const td_file_options *o, td_table *t, td_err *err) {
    if (in.count < 4)
        return td_fail(err, TD_E_FORMAT, "",
                       "idx: a header needs 4 bytes, the file has %zu", in.count);
    if (in.at[0] != 0 || in.at[1] != 0)
        return td_fail(err, TD_E_FORMAT, "",
                       "idx: begins with bytes %02x %02x, not 00 00", in.at[0], in.at[1]);
    td_raw type;
    switch (in.at[2]) {
    case 0x08: type = TD_RAW_U8; break;
    case 0x09: type = TD_RAW_I8; break;
    case 0x0b: type = TD_RAW_I16; break;
    case 0x0c: type = TD_RAW_I32; break;
    case 0x0d: type = TD_RAW_F32; break;
    case 0x0e: type = TD_RAW_F64; break;
    default:
        return td_fail(err, TD_E_FORMAT, "",
                       "idx: type 0x%02x at byte 2 is none of 08, 09, 0b, 0c, 0d, 0e",
                       in.at[2]);
    }
    td_shape shape = {.ndim = in.at[3]};
    if (shape.ndim < 1 || shape.ndim > TD_MAX_DIM)
        return td_fail(err, TD_E_FORMAT, "", "idx: has %d dimensions, wanted 1 to %d",
                       shape.ndim, TD_MAX_DIM);
    size_t header = 4 + 4 * (size_t)shape.ndim, bytes;
    if (in.count < header)
        return td_fail(
            err, TD_E_FORMAT, "",
            "idx: the header of %d dimensions needs %zu bytes, the file has %zu",
            shape.ndim, header, in.count);
    for (int i = 0; i < shape.ndim; i++) shape.dim[i] = td_be32(in.at + 4 + 4 * i);
    int code = td_raw_bytes(type, &shape, &bytes, err);
    if (code == 0 && bytes != in.count - header) {
        char text[TD_SHAPE_TEXT];
        return td_fail(
            err, TD_E_FORMAT, "", "idx: %s %s needs %zu bytes, the file has %zu",
            td_shape_text(&shape, text), td_raw_name(type), header + bytes, in.count);
    }
    if (code == 0)
        code = td_raw_add(t, o, "", type, true, false, &shape, in.at + header, err);
    if (code != 0) td_err_prefix(err, "idx: ");
    return code;
}
