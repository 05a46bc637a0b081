/* What tests of batches share: a worker bob with two data sets, and the writing of records. */
#ifndef TESTS_PLANS_HOST_RIG_H
#define TESTS_PLANS_HOST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plans/session/host.h"
#include "runtime/mem.h"
#include "runtime/scratch.h"

static const unsigned char rig_session[TD_SESSION_BYTES] = {
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
    0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};

/* open: x is 2x2 of f32, 1 2 3 4; y is two i64, 0 1. closed: x alone. Both #rows and #small, the closed one
 * not #small. */
typedef struct host_rig {
    td_shared_set set[2];
    td_host_config config;
    td_host *host;
} host_rig;

static inline void rig_open(host_rig *r) {
    td_err err = {0};
    td_shape two = {1, {2}}, square = {2, {2, 2}};
    *r = (host_rig){
        .config = {
            .name = "bob", .mark = 77, .max_letter_bytes = 1 << 20, .max_objects = 1000}};
    for (int k = 0; k < 2; k++) {
        td_shared_set *s = &r->set[k];
        snprintf(s->name, sizeof s->name, "%s", k ? "closed" : "open");
        s->open = k == 0;
        s->x = td_tensor_new(TD_F32, &square, &err);
        for (int i = 0; i < 4; i++) ((float *)td_tensor_data(s->x))[i] = (float)(i + 1);
        s->x->storage->readonly = true;
        s->tags = (td_tags){.count = k ? 1 : 2,
                            .tag = {"#rows", "#small"},
                            .description = "four numbers"};
    }
    r->set[0].y = td_tensor_new(TD_I64, &two, &err);
    for (int i = 0; i < 2; i++) ((int64_t *)td_tensor_data(r->set[0].y))[i] = i;
    r->set[0].y->storage->readonly = true;
    r->config.sets = r->set;
    r->config.set_count = 2;
    r->host = td_host_new(&r->config, rig_session, &err);
    assert_non_null(r->host);
}

/* Nothing of the tensors' memory may stay behind. */
static inline void rig_close(host_rig *r) {
    td_host_free(&r->host);
    for (int k = 0; k < 2; k++) {
        td_tensor_unref(&r->set[k].x);
        td_tensor_unref(&r->set[k].y);
    }
    td_data_set_limit(0);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

/* ---- records ---- */

static inline void put_f32(td_writer *head, td_writer *bulk, uint64_t id,
                           const td_shape *shape, const float *v) {
    static const td_tags none;
    td_put_byte(head, TD_REC_PUT);
    td_put_uint(head, id);
    td_put_byte(head, TD_F32);
    td_put_shape(head, shape);
    td_put_tags(head, &none);
    td_put_bytes(bulk, v, (size_t)td_shape_numel(shape) * 4);
}

/* ---- golden files ---- */

/* The octets of tests/wire/NAME.hex; td_free. */
static inline unsigned char *golden(const char *name, size_t *n) {
    char path[200], line[300];
    snprintf(path, sizeof path, "tests/wire/%s.hex", name);
    FILE *f = fopen(path, "r");
    if (f == NULL) fail_msg("%s: not there", path);
    td_writer w = {0};
    assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(line[0], '#');
    while (fgets(line, sizeof line, f)) {
        unsigned octet;
        for (const char *p = line; sscanf(p, "%2x", &octet) == 1; p += 2)
            td_put_byte(&w, octet);
    }
    fclose(f);
    *n = w.size;
    return w.data;
}

static inline void assert_same_bytes(const char *what, const void *a, size_t na,
                                     const void *b, size_t nb) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < na && i < nb; i++)
        if (x[i] != y[i])
            fail_msg("%s: octet %zu is %02x, wanted %02x", what, i, x[i], y[i]);
    if (na != nb) fail_msg("%s: %zu octets, wanted %zu", what, na, nb);
}

#endif
