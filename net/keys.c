/* Key files: making them so that nobody else can read them, and refusing those that somebody else could
 * have read or written. Called by the worker, by tide.connect and by `tide keys`. */
#include "net/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define FILE_MAX 2048 /* bytes of a key file: comments and two keys */
#define KEY_CHARS (TD_KEY_TEXT - 1)

/* Public and secret keys of zmq_curve(7), server and client. */
static const char *const manual_keys[] = {
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
    "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
};

void td_keypair_clear(td_keypair *k) {
    sodium_free(k->secret_key); /* wipes, too */
    *k = (td_keypair){0};
}

static int keypair_room(td_keypair *k, td_err *err) {
    *k = (td_keypair){0};
    if (sodium_init() < 0)
        return td_fail(err, TD_E_INTERNAL, "keys", "libsodium does not start");
    k->secret_key = sodium_malloc(TD_KEY_TEXT);
    if (k->secret_key == NULL)
        return td_fail(err, TD_E_MEMORY, "keys", "no memory that can be locked: %s",
                       strerror(errno));
    memset(k->secret_key, 0, TD_KEY_TEXT);
    return 0;
}

int td_keypair_copy(td_keypair *out, const td_keypair *k, td_err *err) {
    int rc = keypair_room(out, err);
    if (rc) return rc;
    memcpy(out->public_key, k->public_key, TD_KEY_TEXT);
    memcpy(out->secret_key, k->secret_key, TD_KEY_TEXT);
    return 0;
}

/* ---- making ---- */

/* A new file with that text; false with errno. Nothing is left of it when it fails. */
static bool write_new(const char *path, const char *text, size_t size, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return false;
    bool well =
        fchmod(fd, mode) == 0 && write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && well) {
        well = false;
        why = errno;
    }
    if (!well) unlink(path);
    errno = why;
    return well;
}

static int not_written(const char *path, td_err *err) {
    if (errno == EEXIST)
        return td_fail(err, TD_E_STATE, "keys", "%s is there already", path);
    return td_fail(err, TD_E_IO, "keys", "%s cannot be written: %s", path,
                   strerror(errno));
}

static int check_name(const char *name, td_err *err) {
    size_t n = strlen(name);
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    if (*base == 0 || *base == '.' || *base == '-' || n > PATH_MAX - 8)
        return td_fail(err, TD_E_ARGUMENT, "keys",
                       "'%.60s' is no name for a key, such as bob", name);
    if (strchr(name, '\n') ||
        (n > 4 && (!strcmp(name + n - 4, ".key") || !strcmp(name + n - 4, ".pub"))))
        return td_fail(err, TD_E_ARGUMENT, "keys",
                       "'%.60s': give the name alone, .pub and .key are added to it",
                       name);
    return 0;
}

int td_keys_new(const char *name, td_err *err) {
    char public_path[PATH_MAX], secret_path[PATH_MAX], text[256];
    td_keypair k = {0};
    int rc = check_name(name, err);
    if (rc == 0) rc = keypair_room(&k, err);
    if (rc) return rc;
    snprintf(public_path, sizeof public_path, "%s.pub", name);
    snprintf(secret_path, sizeof secret_path, "%s.key", name);
    char *secret_text = sodium_malloc(FILE_MAX);
    if (secret_text == NULL) {
        rc = td_fail(err, TD_E_MEMORY, "keys", "no memory that can be locked: %s",
                     strerror(errno));
        goto done;
    }
    if (zmq_curve_keypair(k.public_key, k.secret_key) != 0) {
        rc = td_fail(err, TD_E_UNSUPPORTED, "keys", "this ZeroMQ has no CURVE: %s",
                     zmq_strerror(zmq_errno()));
        goto done;
    }
    int n = snprintf(text, sizeof text,
                     "# public key of tide: give it to those who should know this worker "
                     "or user\n%s\n",
                     k.public_key);
    int m = snprintf(
        secret_text, FILE_MAX,
        "# secret key of tide: give it to nobody; mode 0600\npublic %s\nsecret %s\n",
        k.public_key, k.secret_key);
    if (!write_new(secret_path, secret_text, (size_t)m, 0600)) {
        rc = not_written(secret_path, err);
    } else if (!write_new(public_path, text, (size_t)n, 0644)) {
        rc = not_written(public_path, err);
        unlink(secret_path);
    }
done:
    sodium_free(secret_text);
    td_keypair_clear(&k);
    return rc;
}

/* ---- reading ---- */

/* What the lines of a key file say. The texts point into the file's bytes. */
typedef struct key_lines {
    const char *plain, *public_key, *secret_key;
} key_lines;

/* Cuts the text into lines; a line that is none of the four kinds is a FORMAT error that shows nothing of
 * it, since it might be a secret. */
static int take_lines(char *text, const char *path, key_lines *out, td_err *err) {
    *out = (key_lines){0};
    int number = 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        number++;
        size_t n = strlen(line);
        if (n > 0 && line[n - 1] == '\r') line[--n] = 0;
        if (n == 0 || strncmp(line, "# ", 2) == 0) continue;
        const char **to = &out->plain;
        const char *key = line;
        if (strncmp(line, "public ", 7) == 0) {
            to = &out->public_key;
            key = line + 7;
        } else if (strncmp(line, "secret ", 7) == 0) {
            to = &out->secret_key;
            key = line + 7;
        }
        unsigned char raw[32];
        bool is_key = strlen(key) == KEY_CHARS && zmq_z85_decode(raw, key) != NULL;
        sodium_memzero(raw, sizeof raw);
        if (*to)
            return td_fail(err, TD_E_FORMAT, "keys", "%s: line %d is one key too many",
                           path, number);
        if (!is_key)
            return td_fail(err, TD_E_FORMAT, "keys",
                           "%s: line %d is not a key of 40 Z85 characters", path, number);
        *to = key;
    }
    return 0;
}

static int check_file(const struct stat *st, const char *path, bool secret, td_err *err) {
    unsigned mode = st->st_mode & 07777;
    if (!S_ISREG(st->st_mode))
        return td_fail(err, TD_E_FORMAT, "keys", "%s is not a file", path);
    if (st->st_size > FILE_MAX - 1)
        return td_fail(err, TD_E_FORMAT, "keys",
                       "%s has %lld bytes: no key file is so long", path,
                       (long long)st->st_size);
    if (!secret && (mode & 002))
        return td_fail(err, TD_E_DENIED, "keys",
                       "%s may be changed by others (mode %04o): chmod 644 %s", path,
                       mode, path);
    return 0;
}

/* A file with a secret in it is its owner's alone. */
static int check_owner(const struct stat *st, const char *path, td_err *err) {
    unsigned mode = st->st_mode & 07777;
    if (st->st_uid != geteuid())
        return td_fail(err, TD_E_DENIED, "keys",
                       "%s belongs to user %u, not to user %u, who runs this", path,
                       (unsigned)st->st_uid, (unsigned)geteuid());
    if (mode & 077)
        return td_fail(err, TD_E_DENIED, "keys",
                       "%s may be %s by others (mode %04o): chmod 600 %s", path,
                       mode & 044 ? "read" : "changed", mode, path);
    return 0;
}

/* The whole file into text (FILE_MAX bytes), as a string. */
static int read_file(const char *path, bool secret, char *text, struct stat *st,
                     td_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                            (secret ? O_NOFOLLOW : 0));
    if (fd < 0 && errno == ENOENT)
        return td_fail(err, TD_E_NOT_FOUND, "keys", "there is no key file %s", path);
    if (fd < 0 && errno == ELOOP)
        return td_fail(err, TD_E_DENIED, "keys",
                       "%s is a symbolic link: name the file itself", path);
    if (fd < 0 || fstat(fd, st) != 0) {
        td_fail(err, TD_E_IO, "keys", "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return TD_E_IO;
    }
    int rc = check_file(st, path, secret, err);
    ssize_t n = rc ? 0 : read(fd, text, FILE_MAX - 1);
    if (n < 0)
        rc =
            td_fail(err, TD_E_IO, "keys", "%s cannot be read: %s", path, strerror(errno));
    close(fd);
    if (rc) return rc;
    text[n] = 0;
    if (memchr(text, 0, (size_t)n))
        return td_fail(err, TD_E_FORMAT, "keys", "%s is not a text", path);
    return 0;
}

static int refuse_manual_key(const char *path, const char *key, td_err *err) {
    for (size_t i = 0; i < sizeof manual_keys / sizeof manual_keys[0]; i++)
        if (strcmp(key, manual_keys[i]) == 0)
            return td_fail(
                err, TD_E_DENIED, "keys",
                "%s holds an example key of ZeroMQ's manual, which everybody knows",
                path);
    return 0;
}

static int take_secret(const char *path, char *text, const struct stat *st,
                       td_keypair *out, td_err *err) {
    key_lines lines;
    char derived[TD_KEY_TEXT];
    int rc = take_lines(text, path, &lines, err);
    if (rc == 0 && lines.secret_key == NULL && (lines.plain || lines.public_key))
        return td_fail(err, TD_E_FORMAT, "keys",
                       "%s holds a public key; the secret one is wanted (.key)", path);
    if (check_owner(st, path, err))
        return TD_E_DENIED; /* that comes before what is wrong inside */
    if (rc) return rc;
    if (lines.secret_key == NULL || lines.public_key == NULL || lines.plain)
        return td_fail(err, TD_E_FORMAT, "keys",
                       "%s is not a key file: it has no 'public' and 'secret'", path);
    rc = refuse_manual_key(path, lines.secret_key, err);
    if (rc == 0) rc = refuse_manual_key(path, lines.public_key, err);
    if (rc) return rc;
    if (zmq_curve_public(derived, lines.secret_key) != 0 ||
        strcmp(derived, lines.public_key) != 0)
        return td_fail(err, TD_E_FORMAT, "keys",
                       "%s: the secret key does not go with the public one", path);
    memcpy(out->public_key, lines.public_key, TD_KEY_TEXT);
    memcpy(out->secret_key, lines.secret_key, TD_KEY_TEXT);
    return 0;
}

int td_keys_load_secret(const char *path, td_keypair *out, td_err *err) {
    int rc = keypair_room(out, err);
    if (rc) return rc;
    char *text = sodium_malloc(FILE_MAX);
    if (text == NULL) {
        rc = td_fail(err, TD_E_MEMORY, "keys", "no memory that can be locked: %s",
                     strerror(errno));
    } else {
        struct stat st;
        rc = read_file(path, true, text, &st, err);
        if (rc == 0) rc = take_secret(path, text, &st, out, err);
    }
    sodium_free(text);
    if (rc) td_keypair_clear(out);
    return rc;
}

int td_keys_load_public(const char *path, char out[TD_KEY_TEXT], td_err *err) {
    char text[FILE_MAX];
    key_lines lines;
    struct stat st;
    int rc = read_file(path, false, text, &st, err);
    if (rc == 0) rc = take_lines(text, path, &lines, err);
    if (rc == 0 && lines.secret_key)
        rc = td_fail(err, TD_E_FORMAT, "keys",
                     "%s holds a secret key; the public one is wanted (.pub)", path);
    if (rc == 0 && lines.plain == NULL)
        rc = td_fail(err, TD_E_FORMAT, "keys", "%s holds no key", path);
    if (rc == 0) rc = refuse_manual_key(path, lines.plain, err);
    if (rc == 0) memcpy(out, lines.plain, TD_KEY_TEXT);
    sodium_memzero(text, sizeof text); /* it may have been a secret key's */
    return rc;
}
