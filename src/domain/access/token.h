#ifndef DOMAIN_ACCESS_TOKEN_H
#define DOMAIN_ACCESS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/base64.h"
#include "util/bytes.h"
#include "util/err.h"

/* Tokens of the first API, in the original's form:
 *     <user>.<seconds since 1970>.<base64 of HMAC-SHA256(key, "<user>.<seconds>")>
 * Where there are users the key is mixed with the user's line in run/htpasswd, so that a token ends
 * when its user is removed or has another password. */

#define TOKEN_LIFETIME_S (6u * 3600)
/* Who a token is for where there are no users. */
#define TOKEN_ANYBODY "anon"

#define TOKEN_MAC_BYTES 32
#define TOKEN_TEXT_MAX (RECORD_ACTOR_MAX + 1 + 20 + BASE64_TEXT(TOKEN_MAC_BYTES) + 1)

#define TOKEN_KEY_NAME "auth/token.key" /* kept, so that tokens outlive a restart */

struct token_key {
    uint8_t bytes[64];
};

/* Reads the key below dirfd, or makes it, durably and with mode 0600. */
int token_key_open(struct token_key *key, int dirfd, struct err *err);

/* A secret of n (at most 32) bytes that follows from the key and two texts. False: the library
 * refuses. */
bool token_key_derive(const struct token_key *key, const char *purpose, const char *name,
                      uint8_t *out, size_t n);

/* A token's parts; they point into its text. */
struct token {
    struct bytes user; /* 1 to RECORD_ACTOR_MAX bytes, dots among them */
    uint64_t expiry;   /* seconds since 1970 */
    struct bytes head; /* what is signed: user and expiry */
    struct bytes mac;
};

/* False: no token. Nothing is checked yet. */
bool token_parse(struct token *t, struct bytes text);

/* A token for a user who has shown who he is, from now on. */
int token_make(const struct registry *reg, const char *user, char out[TOKEN_TEXT_MAX],
               struct err *err);

/* Whose is it? 1 and the user's name; 0 forged, expired, of somebody who isn't there any more or
 * has another password now, or there are no users of ours; -1. */
int token_check(const struct registry *reg, struct bytes text, char user[RECORD_ACTOR_MAX + 1],
                struct err *err);

#endif
