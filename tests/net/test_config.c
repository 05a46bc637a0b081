/* A worker's configuration: what it may say, and the text of every refusal. */
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

#include "net/address.h"
#include "net/config.h"

static char folder[64], path[128];

static int make_folder(void **state) {
    (void)state;
    td_err err;
    snprintf(folder, sizeof folder, "/tmp/tide-config.XXXXXX");
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) return -1;
    snprintf(path, sizeof path, "%s/bob.lua", folder);
    return td_keys_new("carol", &err) || td_keys_new("dave", &err);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static int load(const char *text, td_worker_config *c, td_err *err) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    memset(err, 0, sizeof *err);
    return td_worker_config_load(path, c, err);
}

static void whole(void **state) {
    (void)state;
    td_worker_config c;
    td_err err;
    int rc =
        load("local day = 'mnist'\n"
             "return { name = 'bob', listen = 'tcp://127.0.0.1:7700', key = 'bob.key',\n"
             "  state = 'var/bob', gateway = 'tcp://gateway:7600',\n"
             "  datasets = {\n"
             "    [day .. '-train'] = {path = '/data/mnist.npz', tags = {'#mnist', "
             "'#train'}, policy = 'open',\n"
             "      target = 'y', description = 'digits', mock = 100},\n"
             "    icu = {path = 'icu.csv', policy = 'plans'}},\n"
             "  users = {carol = {key = 'carol.pub', role = 'scientist'}, dave = {key = "
             "'dave.pub'}},\n"
             "  limits = {memory = '1.5G', seconds = 60, result = '200M', sessions = 8, "
             "lease = 30, threads = 2}}\n",
             &c, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(rc, 0);
    char want[200];
    assert_string_equal(c.name, "bob");
    snprintf(want, sizeof want, "%s/bob.key", folder);
    assert_string_equal(c.key_path, want);
    snprintf(want, sizeof want, "%s/var/bob", folder);
    assert_string_equal(c.state, want);
    assert_true(c.wants_gateway);
    assert_int_equal(c.set_count, 2);
    assert_string_equal(c.set[0].name, "icu"); /* by name */
    assert_int_equal(c.set[0].policy, TD_POLICY_PLANS);
    snprintf(want, sizeof want, "%s/icu.csv", folder);
    assert_string_equal(c.set[0].path, want);
    assert_string_equal(c.set[1].path, "/data/mnist.npz");
    assert_string_equal(c.set[1].target, "y");
    assert_int_equal(c.set[1].policy, TD_POLICY_OPEN);
    assert_int_equal(c.set[1].tags.count, 2);
    assert_string_equal(c.set[1].tags.tag[1], "#train");
    assert_string_equal(c.set[1].tags.description, "digits");
    assert_int_equal(c.user_count, 2);
    assert_string_equal(c.user[0].name, "carol");
    assert_string_equal(c.user[1].role, "scientist");
    assert_int_equal(strlen(c.user[1].public_key), 40);
    assert_true(c.memory_bytes == (uint64_t)3 << 29);
    assert_int_equal(c.seconds, 60);
    assert_int_equal(c.sessions, 8);
    assert_int_equal(c.user_sessions, 7); /* one place is left for dave */
    assert_int_equal(c.lease_ms, 30000);
    assert_int_equal(c.threads, 2);
    td_worker_config_clear(&c);
}

#define BEGIN "return {name = 'bob', key = 'bob.key', listen = 'tcp://127.0.0.1:7700', "

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"return {listen = 'tcp://127.0.0.1:1', key = 'k'}", "bob.lua: name: is missing"},
        {"return {name = 'bob', key = 'k'}", "bob.lua: listen: is missing"},
        {"return {name = 'bob', listen = 'tcp://127.0.0.1:1'}",
         "bob.lua: key: is missing"},
        {"return {name = 5}", "bob.lua: name: a text is wanted, got a number"},
        {"return {name = '', listen = 'x'}", "bob.lua: name: the text is empty"},
        {"return {name = 'b b'}",
         "bob.lua: name: 'b b' is no name: letters, digits, '-', '_' and '.' are"},
        {BEGIN "lissten = 1}",
         "bob.lua: unknown field 'lissten', did you mean 'listen'?"},
        {BEGIN "[1] = 1}",
         "bob.lua: fields of 'the configuration' have names, one has a number"},
        {BEGIN "limits = {memory = 'much'}}",
         "bob.lua: limits.memory: a size such as \"200M\" is wanted, got much"},
        {BEGIN "limits = {memory = '2GG'}}",
         "bob.lua: limits.memory: a size such as \"200M\" is wanted, got 2GG"},
        {BEGIN "limits = {memory = 5}}",
         "bob.lua: limits.memory: 5 bytes are not from 1048576 to 70368744177664"},
        {BEGIN "limits = {threads = 0}}",
         "bob.lua: limits.threads: 0 is not from 1 to 256"},
        {BEGIN "limits = {seconds = 1.5}}",
         "bob.lua: limits.seconds: a whole number is wanted, got a number"},
        {BEGIN "limits = {sessions = 0}}",
         "bob.lua: limits.sessions: 0 is not from 1 to 1000"},
        {BEGIN "limits = {mem = 0}}", "bob.lua: unknown field 'limits.mem'"},
        {BEGIN "limits = {memori = 0}}",
         "bob.lua: unknown field 'limits.memori', did you mean 'memory'?"},
        {BEGIN "limits = 5}", "bob.lua: limits: a table is wanted, got a number"},
        {BEGIN "users = {carol = 'carol.pub'}}",
         "bob.lua: users.carol: a table is wanted, got a string"},
        {BEGIN "users = {carol = {}}}", "bob.lua: users.carol.key: is missing"},
        {BEGIN "users = {{key = 'carol.pub'}}}",
         "bob.lua: users: each has a name, of 1 to 63 characters"},
        {BEGIN "users = {carol = {key = 'carol.pub', role = 'scientits'}}}",
         "bob.lua: users.carol.role: there is no 'scientits', did you mean 'scientist'?"},
        {BEGIN "users = {a = {key = 'carol.pub'}, b = {key = 'carol.pub'}}}",
         "bob.lua: users: a and b have the same key"},
        {BEGIN "datasets = {d = {policy = 'open'}}}",
         "bob.lua: datasets.d.path: is missing"},
        {BEGIN "datasets = {d = {path = 'd.npz'}}}",
         "bob.lua: datasets.d.policy: is missing"},
        {BEGIN "datasets = {d = {path = 'd.npz', policy = 'free'}}}",
         "bob.lua: datasets.d.policy: there is no 'free', there are: open, derived, "
         "plans, private"},
        {BEGIN "datasets = {d = {path = 'd.npz', policy = 'opem'}}}",
         "bob.lua: datasets.d.policy: there is no 'opem', did you mean 'open'?"},
        {BEGIN "datasets = {d = {path = 'd.npz', policy = 'open', tags = {'#a', 1}}}}",
         "bob.lua: datasets.d.tags: tag 2 is a number, a text is wanted"},
        {BEGIN "listen_beyond_loopback = true}",
         "bob.lua: listen_beyond_loopback: a text is wanted, got a boolean"},
        {BEGIN "listen_beyond_loopback = 'yes'}",
         "bob.lua: listen_beyond_loopback: it says \"I know that nothing jails a session "
         "yet\", or is left out"},
        {"return 5", "bob.lua returns a number, a configuration returns a table"},
        {"", "bob.lua returns nothing, a configuration returns a table"},
        {"return {name = os.getenv('HOME')}",
         "bob.lua:1: there is no 'os' here: a configuration can only make a table"},
        {"local t = io",
         "bob.lua:1: there is no 'io' here: a configuration can only make a table"},
        {"return require 'x'",
         "bob.lua:1: there is no 'require' here: a configuration can only make a table"},
        {"x = load('y')",
         "bob.lua:1: there is no 'load' here: a configuration can only make a table"},
        {"while true do end",
         "bob.lua:1: it ran for 10 million steps: a configuration only makes a table"},
        {"local s = 'x' while true do s = s .. s end", "bob.lua makes more than 16 MiB"},
        {"return {", "bob.lua:1: unexpected symbol near <eof>"},
        {"\033Lua", "attempt to load a binary chunk (mode is 't')"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        td_worker_config c;
        td_err err;
        int rc = load(cases[i].text, &c, &err);
        td_worker_config_clear(&c);
        assert_string_equal(err.msg, cases[i].message);
        assert_int_not_equal(rc, 0);
        assert_int_equal(rc, err.code);
    }
}

static void addresses(void **state) {
    (void)state;
    static const struct {
        const char *address;
        bool local;
    } cases[] = {
        {"tcp://127.0.0.1:7700", true},
        {"tcp://127.1.2.3:*", true},
        {"tcp://localhost:0", true},
        {"tcp://[::1]:7700", true},
        {"ipc:///tmp/x", true},
        {"tcp://*:7700", false},
        {"tcp://0.0.0.0:7700", false},
        {"tcp://10.0.0.1:7700", false},
        {"tcp://[::]:7700", false},
        {"tcp://127.evil.com:1", false},
        {"tcp://1270.0.0.1:1", false},
        {"tcp://eth0:7700", false},
        {"tcp://localhost.evil:1", false},
        {"udp://127.0.0.1:1", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(td_address_is_local(cases[i].address), cases[i].local);
}

static void beyond_loopback(void **state) {
    (void)state;
    td_worker_config c;
    td_err err;
    load("return {name = 'bob', key = 'k', listen = 'tcp://*:7700'}", &c, &err);
    td_worker_config_clear(&c);
    assert_string_equal(
        err.msg,
        "bob.lua: listen: tcp://*:7700 is reached from other machines, and nothing "
        "jails a session yet: listen on tcp://127.0.0.1:7700, or say "
        "listen_beyond_loopback = \"I know that nothing jails a session yet\"");
    int rc = load("return {name = 'bob', key = 'k', listen = 'tcp://*:7700',\n"
                  "listen_beyond_loopback = 'I know that nothing jails a session yet'}",
                  &c, &err);
    td_worker_config_clear(&c);
    assert_int_equal(rc, 0);
    static const char *const wrong[] = {"7700",
                                        "tcp://",
                                        "tcp://127.0.0.1",
                                        "tcp://127.0.0.1:",
                                        "tcp://127.0.0.1:x",
                                        "tcp://127.0.0.1:70000",
                                        "http://a:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[200], want[200];
        snprintf(text, sizeof text, "return {name = 'bob', key = 'k', listen = '%s'}",
                 wrong[i]);
        snprintf(want, sizeof want,
                 "bob.lua: listen: '%s' is no address such as tcp://127.0.0.1:7700",
                 wrong[i]);
        load(text, &c, &err);
        td_worker_config_clear(&c);
        assert_string_equal(err.msg, want);
    }
}

static void no_file(void **state) {
    (void)state;
    td_worker_config c;
    td_err err = {0};
    assert_int_equal(td_worker_config_load("none.lua", &c, &err), TD_E_NOT_FOUND);
    assert_string_equal(err.msg, "none.lua cannot be read: No such file or directory");
    assert_int_equal(td_worker_config_load("/tmp", &c, &err), TD_E_IO);
    assert_string_equal(err.msg, "/tmp is not a file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),     cmocka_unit_test(refusals),
        cmocka_unit_test(addresses), cmocka_unit_test(beyond_loopback),
        cmocka_unit_test(no_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
