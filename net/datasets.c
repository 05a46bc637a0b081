/* Data sets in sealed memory. */
#include "net/datasets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/formats/xy.h"
#include "runtime/mem.h"

static void unmap(void *ctx, void *data, size_t bytes) {
    (void)ctx;
    munmap(data, bytes);
}

/* A copy of count bytes at src that cannot be written to, not even after mprotect. NULL with errno. */
static void *sealed_copy(const void *src, size_t count) {
    int fd = memfd_create("tide-data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *p = MAP_FAILED;
    if (fd < 0) return NULL;
    const char *from = src;
    size_t done = 0;
    while (done < count) {
        ssize_t n = write(fd, from + done, count - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += (size_t)n;
    }
    int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (done == count && fcntl(fd, F_ADD_SEALS, seals) == 0)
        p = mmap(NULL, count, PROT_READ, MAP_SHARED, fd, 0);
    int why = errno;
    close(fd);
    errno = why;
    return p == MAP_FAILED ? NULL : p;
}

td_tensor *td_tensor_sealed(td_tensor *x, td_err *err) {
    size_t bytes;
    td_tensor *plain = td_tensor_contiguous(x, err), *sealed = NULL;
    if (plain == NULL || td_shape_bytes(&x->shape, x->dtype, &bytes, err)) goto done;
    if (bytes == 0) { /* there is nothing to write to */
        sealed = td_tensor_ref(plain);
        goto done;
    }
    void *p = sealed_copy(td_tensor_data(plain), bytes);
    if (p == NULL) {
        td_fail(err, TD_E_MEMORY, "worker", "no sealed memory of %zu bytes: %s", bytes,
                strerror(errno));
        goto done;
    }
    td_storage *s = td_storage_lend(p, bytes, unmap, NULL, err);
    if (s) {
        s->readonly = true;
        sealed = td_tensor_over(s, x->dtype, &x->shape, err);
    }
    td_storage_unref(&s);
done:
    td_tensor_unref(&plain);
    return sealed;
}

static int seal(td_tensor **x, td_err *err) {
    if (*x == NULL) return 0;
    td_tensor *sealed = td_tensor_sealed(*x, err);
    td_tensor_unref(x);
    *x = sealed;
    return sealed ? 0 : TD_E_MEMORY;
}

static int load_one(const td_set_config *c, td_shared_set *out, td_err *err) {
    td_err inside = {0};
    snprintf(out->name, sizeof out->name, "%s", c->name);
    out->tags = c->tags;
    out->open = c->policy == TD_POLICY_OPEN;
    int rc = td_file_load_xy(c->path, c->target, &out->x, &out->y, &inside);
    if (rc == 0) rc = seal(&out->x, &inside);
    if (rc == 0) rc = seal(&out->y, &inside);
    if (rc == 0) return 0;
    td_fail(err, (td_code)inside.code, "worker", "data set %s: %s", c->name, inside.msg);
    if (inside.hint[0]) td_hint(err, "%s", inside.hint);
    return inside.code;
}

int td_datasets_load(const td_worker_config *config, td_datasets *out, td_err *err) {
    int rc = 0;
    *out = (td_datasets){0};
    if (config->set_count == 0) return 0;
    out->set = td_new_array((size_t)config->set_count, sizeof *out->set);
    if (out->set == NULL) return td_fail(err, TD_E_MEMORY, "worker", "out of memory");
    while (rc == 0 && out->count < config->set_count) {
        rc = load_one(&config->set[out->count], &out->set[out->count], err);
        out->count++;
    }
    if (rc) td_datasets_clear(out);
    return rc;
}

void td_datasets_clear(td_datasets *d) {
    for (int i = 0; i < d->count; i++) {
        td_tensor_unref(&d->set[i].x);
        td_tensor_unref(&d->set[i].y);
    }
    td_free(d->set);
    *d = (td_datasets){0};
}
