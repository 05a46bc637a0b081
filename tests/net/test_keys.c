/* Key files: what `tide keys new` leaves behind, and every way in which a key file can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "net/keys.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tide-keys.XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text, mode_t mode) {
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
}

static void assert_refused(int rc, const td_err *err, int code, const char *text) {
    assert_int_equal(rc, code);
    assert_string_equal(err->msg, text);
    assert_string_equal(err->call, "keys");
}

static void new_pair(void **state) {
    (void)state;
    td_err err = {0};
    td_keypair k;
    struct stat st;
    char public_key[TD_KEY_TEXT], derived[TD_KEY_TEXT];
    umask(0);
    assert_int_equal(td_keys_new("bob", &err), 0);
    assert_int_equal(stat("bob.key", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat("bob.pub", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(td_keys_load_secret("bob.key", &k, &err), 0);
    assert_int_equal(td_keys_load_public("bob.pub", public_key, &err), 0);
    assert_string_equal(k.public_key, public_key);
    assert_int_equal(zmq_curve_public(derived, k.secret_key), 0);
    assert_string_equal(derived, public_key);
    td_keypair_clear(&k);
    assert_null(k.secret_key);
}

static void new_pair_never_overwrites(void **state) {
    (void)state;
    td_err err = {0};
    assert_int_equal(td_keys_new("eve", &err), 0);
    assert_refused(td_keys_new("eve", &err), &err, TD_E_STATE,
                   "eve.key is there already");
    assert_int_equal(unlink("eve.key"), 0);
    assert_refused(td_keys_new("eve", &err), &err, TD_E_STATE,
                   "eve.pub is there already");
    assert_int_equal(access("eve.key", F_OK),
                     -1); /* nothing is left of the half that went */
    assert_int_equal(symlink("nowhere", "link.key"), 0);
    assert_refused(td_keys_new("link", &err), &err, TD_E_STATE,
                   "link.key is there already");
    assert_int_equal(access("nowhere", F_OK), -1);
}

static void bad_names(void **state) {
    (void)state;
    td_err err = {0};
    assert_refused(td_keys_new("", &err), &err, TD_E_ARGUMENT,
                   "'' is no name for a key, such as bob");
    assert_refused(td_keys_new("a/", &err), &err, TD_E_ARGUMENT,
                   "'a/' is no name for a key, such as bob");
    assert_refused(td_keys_new("-v", &err), &err, TD_E_ARGUMENT,
                   "'-v' is no name for a key, such as bob");
    assert_refused(td_keys_new("bob.key", &err), &err, TD_E_ARGUMENT,
                   "'bob.key': give the name alone, .pub and .key are added to it");
    assert_refused(td_keys_new("no/folder/bob", &err), &err, TD_E_IO,
                   "no/folder/bob.key cannot be written: No such file or directory");
}

static void secret_files_of_others(void **state) {
    (void)state;
    td_err err = {0};
    td_keypair k;
    assert_int_equal(td_keys_new("carol", &err), 0);
    const struct {
        mode_t mode;
        const char *text;
    } modes[] = {
        {0644, "carol.key may be read by others (mode 0644): chmod 600 carol.key"},
        {0640, "carol.key may be read by others (mode 0640): chmod 600 carol.key"},
        {0604, "carol.key may be read by others (mode 0604): chmod 600 carol.key"},
        {0620, "carol.key may be changed by others (mode 0620): chmod 600 carol.key"},
        {0602, "carol.key may be changed by others (mode 0602): chmod 600 carol.key"},
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        chmod("carol.key", modes[i].mode);
        assert_refused(td_keys_load_secret("carol.key", &k, &err), &err, TD_E_DENIED,
                       modes[i].text);
        assert_null(k.secret_key);
    }
    chmod("carol.key", 0600);
    assert_int_equal(symlink("carol.key", "alias.key"), 0);
    assert_refused(td_keys_load_secret("alias.key", &k, &err), &err, TD_E_DENIED,
                   "alias.key is a symbolic link: name the file itself");
    if (geteuid() == 0) {
        assert_int_equal(chown("carol.key", 12345, 12345), 0);
        assert_refused(td_keys_load_secret("carol.key", &k, &err), &err, TD_E_DENIED,
                       "carol.key belongs to user 12345, not to user 0, who runs this");
    }
    assert_refused(td_keys_load_secret("none.key", &k, &err), &err, TD_E_NOT_FOUND,
                   "there is no key file none.key");
    assert_refused(td_keys_load_secret("/dev/null", &k, &err), &err, TD_E_FORMAT,
                   "/dev/null is not a file");
}

#define PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

static void malformed_files(void **state) {
    (void)state;
    td_err err = {0};
    td_keypair k;
    char a_public[TD_KEY_TEXT], a_secret[TD_KEY_TEXT], b_public[TD_KEY_TEXT],
        b_secret[TD_KEY_TEXT];
    char text[400];
    zmq_curve_keypair(a_public, a_secret);
    zmq_curve_keypair(b_public, b_secret);

    snprintf(text, sizeof text, "public %s\nsecret %s\n", b_public, a_secret);
    put("x.key", text, 0600);
    assert_refused(td_keys_load_secret("x.key", &k, &err), &err, TD_E_FORMAT,
                   "x.key: the secret key does not go with the public one");
    snprintf(text, sizeof text, "# c\npublic %.39s\nsecret %s\n", a_public, a_secret);
    put("x.key", text, 0600);
    assert_refused(td_keys_load_secret("x.key", &k, &err), &err, TD_E_FORMAT,
                   "x.key: line 2 is not a key of 40 Z85 characters");
    snprintf(text, sizeof text, "public %s\nsecret ~%.39s\n", a_public, a_secret);
    put("x.key", text, 0600);
    assert_refused(td_keys_load_secret("x.key", &k, &err), &err, TD_E_FORMAT,
                   "x.key: line 2 is not a key of 40 Z85 characters");
    assert_null(
        strstr(err.msg, a_secret + 1)); /* no error shows what might be a secret */
    snprintf(text, sizeof text, "public %s\nsecret %s\nsecret %s\n", a_public, a_secret,
             a_secret);
    put("x.key", text, 0600);
    assert_refused(td_keys_load_secret("x.key", &k, &err), &err, TD_E_FORMAT,
                   "x.key: line 3 is one key too many");
    snprintf(text, sizeof text, "secret %s\n", a_secret);
    put("x.key", text, 0600);
    assert_refused(td_keys_load_secret("x.key", &k, &err), &err, TD_E_FORMAT,
                   "x.key is not a key file: it has no 'public' and 'secret'");
    put("x.key", "", 0600);
    assert_refused(td_keys_load_secret("x.key", &k, &err), &err, TD_E_FORMAT,
                   "x.key is not a key file: it has no 'public' and 'secret'");
    put("x.key", "public " PUBLIC "\nsecret " SECRET "\n", 0600);
    assert_refused(
        td_keys_load_secret("x.key", &k, &err), &err, TD_E_DENIED,
        "x.key holds an example key of ZeroMQ's manual, which everybody knows");
    put("x.pub", PUBLIC "\n", 0644);
    assert_refused(
        td_keys_load_public("x.pub", a_public, &err), &err, TD_E_DENIED,
        "x.pub holds an example key of ZeroMQ's manual, which everybody knows");
    memset(text, '#', sizeof text);
    FILE *f = fopen("long.pub", "w");
    for (int i = 0; i < 10; i++) fwrite(text, 1, sizeof text, f);
    fclose(f);
    assert_refused(td_keys_load_public("long.pub", a_public, &err), &err, TD_E_FORMAT,
                   "long.pub has 4000 bytes: no key file is so long");
}

static void one_kind_for_the_other(void **state) {
    (void)state;
    td_err err = {0};
    td_keypair k;
    char public_key[TD_KEY_TEXT];
    assert_int_equal(td_keys_new("dan", &err), 0);
    assert_refused(td_keys_load_secret("dan.pub", &k, &err), &err, TD_E_FORMAT,
                   "dan.pub holds a public key; the secret one is wanted (.key)");
    assert_refused(td_keys_load_public("dan.key", public_key, &err), &err, TD_E_FORMAT,
                   "dan.key holds a secret key; the public one is wanted (.pub)");
    chmod("dan.pub", 0666);
    assert_refused(td_keys_load_public("dan.pub", public_key, &err), &err, TD_E_DENIED,
                   "dan.pub may be changed by others (mode 0666): chmod 644 dan.pub");
}

static void windows_line_ends(void **state) {
    (void)state;
    td_err err = {0};
    char made[TD_KEY_TEXT], secret[TD_KEY_TEXT], read[TD_KEY_TEXT], text[100];
    zmq_curve_keypair(made, secret);
    snprintf(text, sizeof text, "# by mail\r\n%s\r\n", made);
    put("mail.pub", text, 0644);
    assert_int_equal(td_keys_load_public("mail.pub", read, &err), 0);
    assert_string_equal(read, made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_pair),          cmocka_unit_test(new_pair_never_overwrites),
        cmocka_unit_test(bad_names),         cmocka_unit_test(secret_files_of_others),
        cmocka_unit_test(malformed_files),   cmocka_unit_test(one_kind_for_the_other),
        cmocka_unit_test(windows_line_ends),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
