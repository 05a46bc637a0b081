/* The directory of a zip file (PKWARE's APPNOTE 6.3) in memory: one disk, stored and deflated members,
 * zip64. Says where members lie; unpacks none. Only runtime/formats includes this. */
#ifndef TD_FORMATS_ZIP_H
#define TD_FORMATS_ZIP_H

#include "runtime/formats/reader.h"

typedef struct td_zip_member {
    td_bytes name; /* just bytes: nothing is ever written under it */
    td_bytes data; /* as it lies in the file */
    bool deflated;
    uint32_t crc;
    size_t bytes; /* unpacked */
} td_zip_member;

typedef struct td_zip {
    td_bytes file;
    size_t members;
    size_t at, end; /* what is left of the directory */
    /* of the members up to here: more than the file has means that they overlap */
    size_t packed;
} td_zip;

int td_zip_open(td_zip *z, td_bytes file, td_err *err);
/* The next of the members; the sizes are bounded by the file's (deflate packs 1032 to 1 at best). */
int td_zip_next(td_zip *z, td_zip_member *m, td_err *err);
/* After the last one: the directory must be used up. */
int td_zip_close(const td_zip *z, td_err *err);

#endif
