/* Writes a file so that it is there whole or not at all. Knows no format. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/formats/reader.h"
#include "runtime/formats/save.h"

static int fail_errno(td_err *err, const td_writer *w, const char *what) {
    char text[100], name[TD_SHOW];
    return td_fail(err, TD_E_IO, "", "%s: %s: %s",
                   td_show(name, w->path, strlen(w->path)), what,
                   strerror_r(errno, text, sizeof text));
}

/* Where the last / is: the folder's length, 0 for the current one. */
static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* An unused name beside the target; O_EXCL keeps us off everybody else's. */
static int open_temp(td_writer *w, mode_t mode, td_err *err) {
    for (int tries = 0; tries < 100; tries++) {
        int n = snprintf(w->temp, sizeof w->temp, "%.*s.tide-%ld-%d.tmp",
                         (int)folder_length(w->path), w->path, (long)getpid(), tries);
        if (n < 0 || (size_t)n >= sizeof w->temp) {
            errno = ENAMETOOLONG;
            break;
        }
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (w->fd >= 0) return 0;
        if (errno != EEXIST && errno != EINTR) break;
    }
    return fail_errno(err, w, "cannot make a file beside it");
}

int td_writer_open(td_writer *w, const char *path, td_err *err) {
    struct stat st;
    w->fd = -1;
    w->temp[0] = 0;
    int n = snprintf(w->path, sizeof w->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof w->path) {
        errno = ENAMETOOLONG;
        return fail_errno(err, w, "cannot write");
    }
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, w->path) == NULL) {
        snprintf(w->path, sizeof w->path, "%s", path);
        return fail_errno(err, w, "cannot follow the link");
    }
    bool is_old = stat(w->path, &st) == 0;
    if (is_old && !S_ISREG(st.st_mode)) {
        char name[TD_SHOW];
        return td_fail(err, TD_E_IO, "", "%s: is there, and is not a regular file",
                       td_show(name, w->path, strlen(w->path)));
    }
    int code = open_temp(w, 0666, err);
    if (code == 0 && is_old && fchmod(w->fd, st.st_mode & 0777) != 0) {
        code = fail_errno(err, w, "cannot set permissions");
        td_writer_abort(w);
    }
    return code;
}

int td_writer_put(td_writer *w, const void *bytes, size_t count, td_err *err) {
    const char *p = bytes;
    while (count > 0) {
        ssize_t n = write(w->fd, p, count);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, w, "cannot write");
        p += n;
        count -= (size_t)n;
    }
    return 0;
}

int td_writer_commit(td_writer *w, td_err *err) {
    const char *what = "cannot write to the disk";
    if (fsync(w->fd) != 0) goto fail;
    what = "cannot close";
    int closed = close(w->fd);
    w->fd = -1;
    if (closed != 0) goto fail;
    what = "cannot put it in place";
    if (rename(w->temp, w->path) != 0) goto fail;
    w->temp[0] = 0;

    /* The new name is to survive a power cut too; a folder that cannot be synced does no harm. */
    char folder[PATH_MAX];
    size_t n = folder_length(w->path);
    snprintf(folder, sizeof folder, "%.*s", n ? (int)n : 1, n ? w->path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return 0;
fail:;
    int code = fail_errno(err, w, what);
    td_writer_abort(w);
    return code;
}

void td_writer_abort(td_writer *w) {
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    if (w->temp[0]) unlink(w->temp);
    w->temp[0] = 0;
}
