/* The state of a connection; see the header.
 *
 * A worker that does not know the client's key says so (ZAP's 400 comes back as HANDSHAKE_FAILED_AUTH). One
 * that has another key than the client thinks cannot even read the client's first words, and hangs up: that
 * is told from a worker that is just ending by its happening twice in a row. */
#include "net/contact.h"

#include <string.h>
#include <zmq.h>

#define HANG_UPS 2

void td_contact_begin(td_contact *c, int64_t now_ms) {
    c->state = TD_CONTACT_CONNECTING;
    c->down = c->refused = c->reached = false;
    c->broken_off = 0;
    c->since_ms = now_ms;
}

static td_contact_act down(td_contact *c, td_contact_act act) {
    c->down = true;
    return act;
}

static td_contact_act refused_key(td_contact *c) {
    td_fail(&c->err, TD_E_DENIED, "", "%s refused this key", c->name);
    td_hint(&c->err,
            "the worker's owner lists your .pub file under users in its configuration");
    return down(c, TD_CONTACT_GIVE_UP);
}

/* The handshake failed, and not for our key's sake. */
static td_contact_act hung_up(td_contact *c) {
    if (c->down || ++c->broken_off < HANG_UPS) return TD_CONTACT_NOTHING;
    td_fail(&c->err, TD_E_DENIED, "", "%s's key is not that of %s", c->name,
            c->server_key);
    return down(c, TD_CONTACT_GIVE_UP);
}

static td_contact_act not_ours(td_contact *c) {
    c->reached = false;
    if (c->down) return TD_CONTACT_NOTHING;
    td_fail(&c->err, TD_E_DENIED, "",
            "what answers at %s is no worker: it does not speak CURVE", c->url);
    return down(c, TD_CONTACT_GIVE_UP);
}

td_contact_act td_contact_event(td_contact *c, int event, uint32_t value,
                                int64_t now_ms) {
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        c->reached = true;
        c->refused = false;
        return TD_CONTACT_NOTHING;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        c->state = TD_CONTACT_UP;
        c->down = c->refused = c->reached = false;
        c->broken_off = 0;
        c->since_ms = now_ms;
        return TD_CONTACT_SAY_UP;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        c->reached = false;
        return c->down || value != 400 ? TD_CONTACT_NOTHING : refused_key(c);
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: c->reached = false; return hung_up(c);
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        c->reached = false;
        return value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC ? hung_up(c) : not_ours(c);
    case ZMQ_EVENT_DISCONNECTED:
        if (c->reached)
            return not_ours(c); /* dropped by us: not even the greeting was one */
        if (c->state != TD_CONTACT_UP) return TD_CONTACT_NOTHING;
        c->state = TD_CONTACT_LOST;
        c->since_ms = now_ms;
        return TD_CONTACT_NOTHING;
    case ZMQ_EVENT_CONNECT_RETRIED:
        if (!c->reached && c->broken_off == 0) c->refused = true;
        return TD_CONTACT_NOTHING;
    default: return TD_CONTACT_NOTHING;
    }
}

td_contact_act td_contact_tick(td_contact *c, int64_t now_ms) {
    int64_t past = now_ms - c->since_ms;
    if (c->down || c->state == TD_CONTACT_UP) return TD_CONTACT_NOTHING;
    if (c->state == TD_CONTACT_LOST) {
        if (past < TD_GRACE_MS) return TD_CONTACT_NOTHING;
        td_fail(&c->err, TD_E_GONE, "", "%s is gone (connection lost)", c->name);
    } else if (c->refused && past >= TD_GRACE_MS) {
        td_fail(&c->err, TD_E_GONE, "", "nothing answers at %s (connection refused)",
                c->url);
    } else if (past < c->timeout_ms) {
        return TD_CONTACT_NOTHING;
    } else if (c->reached) {
        td_fail(&c->err, TD_E_TIMEOUT, "",
                "what is at %s takes connections, and does not answer in %.3g s", c->url,
                (double)c->timeout_ms / 1000);
    } else {
        td_fail(&c->err, TD_E_GONE, "", "nothing answers at %s in %.3g s", c->url,
                (double)c->timeout_ms / 1000);
    }
    return down(c, TD_CONTACT_SAY_DOWN);
}

td_contact_act td_contact_mute(td_contact *c, int64_t now_ms) {
    td_contact_begin(c, now_ms);
    td_fail(&c->err, TD_E_TIMEOUT, "", "%s has not been heard of for %d s", c->name,
            TD_PATIENCE_MS / 1000);
    return down(c, TD_CONTACT_SAY_DOWN);
}
