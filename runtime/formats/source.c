/* Whole files into memory. Only regular files: a FIFO could keep us waiting, a device never ends. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/formats/reader.h"
#include "runtime/mem.h"

static int fail_errno(td_err *err, const char *what) {
    char text[100];
    return td_fail(err, TD_E_IO, "", "%s: %s", what,
                   strerror_r(errno, text, sizeof text));
}

static const char *kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "something else";
    }
}

/* Reads until count bytes are there or the file ends; -1 and errno on failure. */
static ssize_t read_all(int fd, uint8_t *at, size_t count) {
    size_t got = 0;
    while (got < count) {
        ssize_t n = read(fd, at + got, count - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

int td_source_read(const char *path, size_t max_bytes, uint8_t **at, size_t *count,
                   td_err *err) {
    uint8_t *data = NULL;
    size_t size = 0;
    int fd;
    do {
        /* O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_errno(err, "cannot open");
    struct stat st;
    if (fstat(fd, &st) != 0) {
        fail_errno(err, "cannot look at it");
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        td_fail(err, TD_E_IO, "", "is %s; only regular files are read",
                kind_of(st.st_mode));
        goto fail;
    }
    if ((uintmax_t)st.st_size > max_bytes) {
        td_fail(err, TD_E_LIMIT, "", "has %jd bytes, %zu are allowed",
                (intmax_t)st.st_size, max_bytes);
        goto fail;
    }
    size = (size_t)st.st_size;
    data = td_data_new(size, err);
    if (data == NULL) goto fail;
    uint8_t more;
    ssize_t got = read_all(fd, data, size);
    ssize_t extra = got < 0 ? -1 : read_all(fd, &more, 1);
    if (extra < 0) {
        fail_errno(err, "cannot read");
        goto fail;
    }
    if ((size_t)got < size || extra > 0) {
        td_fail(err, TD_E_IO, "", "changed while it was read: had %zu bytes, then %s",
                size, extra > 0 ? "more" : "less");
        goto fail;
    }
    close(fd);
    *at = data;
    *count = size;
    return 0;
fail:
    td_data_free(data, size);
    close(fd);
    return err->code;
}
