/* The passes in their order, and the dump of what each did. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mem.h"
#include "vm/passes.h"

static const struct {
    const char *name;
    td_pass *run;
} passes[] = {
    {"views", td_pass_views},     {"products", td_pass_products},
    {"algebra", td_pass_algebra}, {"fold", td_pass_fold},
    {"cse", td_pass_cse},         {"dead", td_pass_dead},
};

/* Chains get shorter by half in a round. */
#define ROUNDS_MAX 8

static bool wants_dump(void) {
    const char *dump = getenv("TIDE_DUMP");
    return dump && strcmp(dump, "1") == 0;
}

static void dump(const char *when, const char *pass, const td_program *p) {
    char *text = td_program_text(p);
    fprintf(stderr, "---- %s %s\n%s", when, pass, text ? text : "(out of memory)\n");
    td_free(text);
}

/* One pass over *p, which becomes the better program. */
static int step(size_t k, bool dumps, td_program **p, bool *changed, td_err *err) {
    td_program *better = NULL;
    int rc = passes[k].run(*p, &better, err);
    if (rc) return rc;
    *changed |= better != *p;
    if (dumps && better == *p)
        fprintf(stderr, "---- after %s: unchanged\n", passes[k].name);
    if (dumps && better != *p) dump("after", passes[k].name, better);
    td_program_unref(p);
    *p = better;
    return 0;
}

int td_passes_run(td_program *p, td_program **out, td_err *err) {
    bool dumps = wants_dump(), changed = true;
    int rc = 0;
    *out = td_program_ref(p);
    if (dumps) dump("before", "all passes", p);
    for (int round = 0; rc == 0 && changed && round < ROUNDS_MAX; round++) {
        changed = false;
        for (size_t k = 0; rc == 0 && k < sizeof passes / sizeof passes[0]; k++)
            rc = step(k, dumps, out, &changed, err);
    }
    if (rc) td_program_unref(out);
    return rc;
}
