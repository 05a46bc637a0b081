/* A client's session and a host under bad weather: frames are lost, doubled, late and out of order (but the
 * words of a host that has ended come before those of the next), connections break and come back, the host is now and
 * then begun anew. A script of operations runs with a mirror of every object here:
 * each value must be the mirror's, or the error must be GONE after the host had been begun anew; nothing may run twice
 * (x += 1 would show it), nothing may hang. Time is the simulator's own: an hour passes in a moment. A schedule is a
 * function of its seed, so a failing one is run again with TIDE_SEED=n. */
#include "runtime/scratch.h"
#include "tests/plans/host_rig.h"

#include "plans/session/client.h"
#include "vm/apply.h"

#define SCHEDULES 5000
#define STEPS 60
#define POOL 6
#define PENDING 4
#define AIR_MAX 4000
#define HOUR_MS ((int64_t)3600 * 1000)

/* ---- the weather ---- */

typedef struct flying {
    unsigned char *bytes;
    size_t n;
    int64_t lands;
    bool to_host;
} flying;

typedef struct world {
    uint64_t seed, x;
    int64_t now;
    int loss, doubling, delay, breaks,
        restarts; /* per cent, per cent, ms; per thousand events */
    flying air[AIR_MAX];
    int count;
    int64_t
        floor; /* nothing new lands at the client before: what a host said that has ended
                      is not overtaken by what is said after it */
    bool up_due, down_due;
    td_host_config config;
    td_host *host;
    unsigned char session[TD_SESSION_BYTES];
    int times_begun_anew;
    int64_t told_gone_ms;
} world;

static uint64_t draw(world *w, uint64_t below) { /* splitmix64 */
    uint64_t z = w->x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static void add_to_air(world *w, bool to_host, const void *bytes, size_t n,
                       int64_t lands) {
    if (w->count == AIR_MAX) return; /* lost */
    flying *f = &w->air[w->count++];
    *f = (flying){.bytes = td_new_bytes(n), .n = n, .lands = lands, .to_host = to_host};
    memcpy(f->bytes, bytes, n);
    if (!to_host && f->lands < w->floor) f->lands = w->floor;
}

/* When the last frame lands that is on its way to the client. */
static int64_t last_landing(const world *w) {
    int64_t last = w->now;
    for (int i = 0; i < w->count; i++)
        if (!w->air[i].to_host && w->air[i].lands > last) last = w->air[i].lands;
    return last;
}

static void launch(world *w, bool to_host, const void *bytes, size_t n) {
    int copies = (int)draw(w, 100) < w->loss       ? 0
                 : (int)draw(w, 100) < w->doubling ? 2
                                                   : 1;
    for (; copies > 0; copies--)
        add_to_air(w, to_host, bytes, n,
                   w->now + 1 + (int64_t)draw(w, (uint64_t)w->delay));
}

static void clear_air(world *w) {
    while (w->count > 0) td_free(w->air[--w->count].bytes);
    w->floor = 0;
}

static void break_connection(world *w) {
    clear_air(w);
    w->up_due = true;
    w->down_due = draw(w, 4) == 0; /* for longer than the grace time */
}

/* The worker's process ends: with its connection, or alone. */
static void end_host(world *w) {
    td_host_free(&w->host);
    w->times_begun_anew++;
    w->floor = last_landing(w) + 1;
    if (draw(w, 2)) break_connection(w);
}

/* What whoever holds the socket says to a frame for a session that is not there; once in a while, as the supervisor
 * does. */
static void tell_gone(world *w) {
    if (w->now - w->told_gone_ms < 2000) return;
    w->told_gone_ms = w->now;
    td_frame f = {.type = TD_FRAME_ERROR};
    td_writer out = {0};
    memcpy(f.session, w->session, TD_SESSION_BYTES);
    td_fail(&f.err, TD_E_GONE, "", "the session has ended here");
    td_frame_write(&f, &out);
    int64_t lands = last_landing(w) + 1;
    w->floor = lands + 1;
    if ((int)draw(w, 100) >= w->loss) add_to_air(w, false, out.data, out.size, lands);
    td_writer_free(&out);
}

static void land_at_host(world *w, const flying *f) {
    td_err err = {0};
    td_frame parsed;
    assert_int_equal(td_frame_parse(f->bytes, f->n, &parsed, &err), 0);
    if (parsed.type == TD_FRAME_BYE) return;
    if (w->host == NULL && parsed.type == TD_FRAME_HELLO) {
        w->host = td_host_new(&w->config, parsed.session, &err);
        memcpy(w->session, parsed.session, TD_SESSION_BYTES);
    }
    if (w->host == NULL) {
        memcpy(w->session, parsed.session, TD_SESSION_BYTES);
        tell_gone(w);
        return;
    }
    if (td_host_frame(w->host, f->bytes, f->n, w->now, &err))
        fail_msg("seed %llu: the host refuses: %s", (unsigned long long)w->seed, err.msg);
}

/* ---- the transport ---- */

static int world_send(void *ctx, const void *frame, size_t n, td_err *err) {
    world *w = ctx;
    (void)err;
    if (!w->up_due) launch(w, true, frame, n); /* there is no connection: it is lost */
    return 0;
}

/* The next frame that has landed at that end, out of the air; false when there is none. */
static bool take_landed(world *w, bool at_host, flying *out) {
    for (int i = 0; i < w->count; i++) {
        if (w->air[i].to_host != at_host || w->air[i].lands > w->now) continue;
        *out = w->air[i];
        w->air[i] = w->air[--w->count];
        return true;
    }
    return false;
}

static void host_turn(world *w) {
    flying f;
    while (take_landed(w, true, &f)) {
        land_at_host(w, &f);
        td_free(f.bytes);
    }
    td_writer out = {0};
    while (w->host && td_host_next(w->host, w->now, &out))
        launch(w, false, out.data, out.size);
    td_writer_free(&out);
}

static void advance(world *w, int64_t end) {
    int64_t next = w->now + 20 < end ? w->now + 20 : end;
    for (int i = 0; i < w->count; i++)
        if (w->air[i].lands > w->now && w->air[i].lands < next) next = w->air[i].lands;
    w->now = next > w->now ? next : w->now + 1;
    if ((int)draw(w, 1000) < w->breaks) break_connection(w);
    if (w->host && (int)draw(w, 1000) < w->restarts) end_host(w);
}

static td_event world_recv(void *ctx, int wait_ms, void **frame, size_t *n, td_err *err) {
    world *w = ctx;
    flying f;
    for (int64_t end = w->now + wait_ms;;) {
        if (w->now > HOUR_MS) fail_msg("seed %llu hangs", (unsigned long long)w->seed);
        if (w->down_due) {
            w->down_due = false;
            td_fail(err, TD_E_TIMEOUT, "", "bob has not been heard of");
            return TD_EV_DOWN;
        }
        if (w->up_due) {
            w->up_due = false;
            return TD_EV_UP;
        }
        host_turn(w);
        if (take_landed(w, false, &f)) {
            *frame = f.bytes;
            *n = f.n;
            return TD_EV_FRAME;
        }
        if (w->now >= end) return TD_EV_TIMEOUT;
        advance(w, end);
    }
}

static void world_close(void *ctx) { clear_air(ctx); }
static void world_reconnect(void *ctx) { break_connection(ctx); }
static int64_t world_now(void *ctx) { return ((world *)ctx)->now + 1; }

/* ---- the script, and its mirror ---- */

typedef struct mirrored {
    td_val *p; /* a 2x2 tensor of i64 at bob; NULL: none */
    uint64_t m[4];
} mirrored;

typedef struct script {
    world *w;
    td_session *s;
    mirrored pool[POOL];
    struct {
        td_coming *c;
        uint64_t m[4]; /* the mirror when it was asked for */
    } pending[PENDING];
    int gone; /* how often everything was lost */
} script;

static void drop_all(script *k) {
    for (int i = 0; i < POOL; i++) td_val_unref(&k->pool[i].p);
    for (int i = 0; i < PENDING; i++) td_coming_unref(&k->pending[i].c);
}

/* GONE is right when the host was begun anew; all that was there is forgotten then. A connection that is down for a
 * while is no loss: false says that whoever waited goes on waiting. */
static bool is_lost(script *k, const td_err *err) {
    if (err->code == TD_E_TIMEOUT) return false;
    if (err->code != TD_E_GONE || k->gone >= k->w->times_begun_anew)
        fail_msg("seed %llu: %s: %s", (unsigned long long)k->w->seed, err->call,
                 err->msg);
    k->gone++;
    drop_all(k);
    return true;
}

static mirrored *any(script *k) {
    int first = (int)draw(k->w, POOL);
    for (int i = 0; i < POOL; i++)
        if (k->pool[(first + i) % POOL].p) return &k->pool[(first + i) % POOL];
    return NULL;
}

static mirrored *place_for(script *k) {
    mirrored *to = &k->pool[draw(k->w, POOL)];
    td_val_unref(&to->p); /* what was there is freed */
    return to;
}

static void do_send(script *k) {
    td_err err = {0};
    const td_shape shape = {2, {2, 2}};
    td_tensor *t = td_tensor_new(TD_I64, &shape, &err);
    mirrored *to = place_for(k);
    for (int i = 0; i < 4; i++)
        ((uint64_t *)td_tensor_data(t))[i] = to->m[i] = draw(k->w, 1000);
    td_obj *obj = NULL;
    assert_int_equal(td_session_send(k->s, t, 0, NULL, &obj, &err), 0);
    to->p = td_val_away(obj, &(td_meta){.dtype = TD_I64, .shape = shape}, &err);
    td_tensor_unref(&t);
}

static void compute(const char *name, const uint64_t *a, const uint64_t *b,
                    uint64_t *to) {
    uint64_t r[4];
    for (int i = 0; i < 4; i++)
        r[i] = name[0] == 'a'   ? a[i] + b[i]
               : name[1] == 'u' ? a[i] * b[i]
                                : a[i & 2] * b[i & 1] + a[(i & 2) + 1] * b[(i & 1) + 2];
    memcpy(to, r, sizeof r);
}

static void do_op(script *k) {
    static const char *const names[] = {"add", "mul", "matmul"};
    const char *name = names[draw(k->w, 3)];
    td_err err = {0};
    mirrored *a = any(k), *b = any(k), r;
    if (a == NULL) return;
    if (td_apply(td_op_find(name), (td_val *[]){a->p, b->p}, 2, NULL, &r.p, &err))
        fail_msg("%s", err.msg);
    compute(name, a->m, b->m, r.m);
    *place_for(k) = r;
}

/* The same operations in a batch of their own each time, so that its text is known there after the first: unless
 * the host has been begun anew. */
static void do_routine(script *k) {
    static const char *const names[] = {"add", "mul", "add", "matmul", "mul", "add"};
    td_err err = {0};
    assert_int_equal(td_session_flush(k->s, &err), 0);
    const mirrored *a = any(k);
    if (a == NULL) return;
    mirrored first = {td_val_ref(a->p), {0}}, last = {td_val_ref(a->p), {0}};
    memcpy(first.m, a->m, sizeof first.m);
    memcpy(last.m, a->m, sizeof last.m);
    for (int i = 0; i < 6; i++) {
        td_val *next;
        if (td_apply(td_op_find(names[i]), (td_val *[]){last.p, first.p}, 2, NULL, &next,
                     &err))
            fail_msg("%s", err.msg);
        compute(names[i], last.m, first.m, last.m);
        td_val_unref(&last.p);
        last.p = next;
    }
    td_val_unref(&first.p);
    *place_for(k) = last;
    assert_int_equal(td_session_flush(k->s, &err), 0);
}

static void do_increment(script *k) {
    td_err err = {0};
    mirrored *a = any(k);
    if (a == NULL) return;
    td_val *one = td_val_integer(1, &err), *more = NULL;
    assert_int_equal(
        td_apply(td_op_find("add"), (td_val *[]){a->p, one}, 2, NULL, &more, &err), 0);
    assert_int_equal(
        td_apply(td_op_find("assign"), (td_val *[]){a->p, more}, 2, NULL, NULL, &err), 0);
    for (int i = 0; i < 4; i++) a->m[i]++;
    td_val_unref(&one);
    td_val_unref(&more);
}

static void look_at(script *k, int i) {
    td_err err = {0};
    td_coming *c = td_coming_ref(k->pending[i].c);
    uint64_t want[4];
    memcpy(want, k->pending[i].m, sizeof want);
    td_coming_unref(&k->pending[i].c);
    while (!c->done && c->place->ops->wait(c->place, c, &err) != 0)
        if (is_lost(k, &err)) break;
    if (c->t && memcmp(td_tensor_data(c->t), want, sizeof want) != 0)
        fail_msg("seed %llu: %lld instead of %lld", (unsigned long long)k->w->seed,
                 (long long)((int64_t *)td_tensor_data(c->t))[0], (long long)want[0]);
    if (!c->done)
        fail_msg("seed %llu: lost, and not told", (unsigned long long)k->w->seed);
    if (c->t == NULL && c->err.code != TD_E_GONE)
        fail_msg("seed %llu: %s", (unsigned long long)k->w->seed, c->err.msg);
    td_coming_unref(&c);
}

static void do_get(script *k, bool drop) {
    td_err err = {0};
    int i = (int)draw(k->w, PENDING);
    if (k->pending[i].c) look_at(k, i);
    mirrored *a = any(k);
    if (a == NULL) return;
    assert_int_equal(td_session_get(k->s, a->p->obj, drop, &k->pending[i].c, &err), 0);
    memcpy(k->pending[i].m, a->m, sizeof a->m);
    if (drop) td_val_unref(&a->p);
}

static void do_tag(script *k) {
    td_err err = {0};
    td_tags tags = {.count = 1, .tag = {"#sim"}};
    mirrored *a = any(k);
    if (a) assert_int_equal(td_session_tag(k->s, a->p->obj, &tags, &err), 0);
}

/* As many objects are there as live here: frees go out before the question. */
static void do_objects(script *k) {
    td_err err = {0};
    td_about *list;
    int count, live = 0;
    while (td_session_objects(k->s, &list, &count, &err))
        if (is_lost(k, &err)) return;
    for (int i = 0; i < POOL; i++) live += k->pool[i].p != NULL;
    if (count != live)
        fail_msg("seed %llu: %d objects, %d live", (unsigned long long)k->w->seed, count,
                 live);
    td_free(list);
}

static void do_wait(script *k) {
    td_err err = {0};
    double ms;
    int kind = (int)draw(k->w, 3);
    while (kind == 0 ? td_session_ping(k->s, &ms, &err) : td_session_wait(k->s, &err))
        if (is_lost(k, &err)) return;
}

static void step(script *k) {
    td_err err = {0};
    switch (draw(k->w, 14)) {
    case 0:
    case 1: do_send(k); break;
    case 2:
    case 3:
    case 4: do_op(k); break;
    case 5:
    case 6: do_increment(k); break;
    case 7: do_get(k, draw(k->w, 3) == 0); break;
    case 8: place_for(k); break;
    case 9: do_tag(k); break;
    case 12:
    case 13: do_routine(k); break;
    case 10:
        if (draw(k->w, 3) == 0)
            do_objects(k);
        else
            do_wait(k);
        break;
    default:
        if (draw(k->w, 8) == 0)
            assert_int_equal(td_session_disconnect(k->s, &err), 0);
        else
            assert_int_equal(td_session_flush(k->s, &err), 0);
    }
}

static uint64_t batches_named; /* of all schedules */

static void run_schedule(uint64_t seed) {
    td_err err = {0};
    world *w = td_new(world);
    w->seed = w->x = seed;
    w->loss = (int)draw(w, 30);
    w->doubling = (int)draw(w, 30);
    w->delay = 1 + (int)draw(w, 60);
    w->breaks = (int)draw(w, 3) ? (int)draw(w, 20) : 0;
    w->restarts = draw(w, 3) ? 0 : (int)draw(w, 8);
    w->up_due = true;
    w->told_gone_ms = -HOUR_MS;
    w->config =
        (td_host_config){.name = "bob", .max_letter_bytes = 1 << 20, .max_objects = 1000};
    td_transport t = {w, world_send, world_recv, world_close, world_reconnect};
    td_session_hooks hooks = {.now_ms = world_now, .ctx = w};
    script k = {.w = w, .s = td_session_new("bob", &t, &hooks, &err)};
    assert_non_null(k.s);
    for (int i = 0; i < STEPS; i++) step(&k);
    for (int i = 0; i < POOL; i++) { /* the last word on every object */
        if (k.pool[i].p == NULL) continue;
        int at = i % PENDING;
        if (k.pending[at].c) look_at(&k, at);
        if (k.pool[i].p == NULL) continue; /* looking lost it */
        assert_int_equal(
            td_session_get(k.s, k.pool[i].p->obj, true, &k.pending[at].c, &err), 0);
        memcpy(k.pending[at].m, k.pool[i].m, sizeof k.pool[i].m);
    }
    for (int i = 0; i < PENDING; i++)
        if (k.pending[i].c) look_at(&k, i);
    drop_all(&k);
    batches_named += td_session_get_stats(k.s).named;
    td_place *place = td_session_place(k.s);
    td_session_end(k.s);
    td_place_unref(&place);
    td_host_free(&w->host);
    td_free(w);
    td_scratch_trim();
    assert_int_equal(td_data_live_bytes(), 0);
}

static void schedules(void **state) {
    (void)state;
    const char *one = getenv("TIDE_SEED");
    if (one) {
        run_schedule(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) run_schedule(seed);
    assert_true(batches_named > 2 * SCHEDULES);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
