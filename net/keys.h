/* CURVE keys in files: `tide keys new bob` makes bob.pub, which others may have, and bob.key, which nobody
 * else may read. Keys are in Z85, 40 characters (zmq_curve(7), RFC 26 and 32 of ZeroMQ).
 *
 *     bob.pub                                       bob.key (mode 0600)
 *     # public key of tide: give it to ...          # secret key of tide: give it to nobody ...
 *     <40 characters>                               public <40 characters>
 *                                                   secret <40 characters>
 *
 * A line that begins with "# " is a comment. Key files are small, and read by no more than this. */
#ifndef TD_NET_KEYS_H
#define TD_NET_KEYS_H

#include "runtime/err.h"

#define TD_KEY_TEXT 41 /* 40 characters of Z85 and a zero byte */

typedef struct td_keypair {
    char public_key[TD_KEY_TEXT];
    char *
        secret_key; /* TD_KEY_TEXT bytes of locked memory, of which no core dump knows; NULL when empty */
} td_keypair;

/* Makes NAME.pub and NAME.key; name may have folders in it. Never writes over a file: "bob.key is there
 * already". On failure neither file is left behind. Errors: ARGUMENT (the name), STATE, IO. */
int td_keys_new(const char *name, td_err *err);

/* Reads a secret key. Refused are: a symbolic link, a file of another user, one that others may read or
 * write, malformed keys, a secret that does not go with its public key, and the example keys of ZeroMQ's
 * manual, which everybody knows. Errors: NOT_FOUND, DENIED, FORMAT, IO, MEMORY; they name the path. */
int td_keys_load_secret(const char *path, td_keypair *out, td_err *err);

/* Reads a public key. Refused are: a file that anybody may write to, malformed keys, the manual's, and a
 * file with a secret key in it. */
int td_keys_load_public(const char *path, char out[TD_KEY_TEXT], td_err *err);

/* A copy with locked memory of its own. MEMORY. */
int td_keypair_copy(td_keypair *out, const td_keypair *k, td_err *err);
/* Wipes and forgets the secret. */
void td_keypair_clear(td_keypair *k);

#endif
