#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/base64.h"
#include "util/bytes.h"
#include "util/err.h"

/* Tokens of the first API, in the form of docker's original registry:
 *     <user>.<seconds since 1970>.<base64 of HMAC-SHA256(key, "<user>.<seconds>")>
 * If there are users, the key is mixed with the user's secret (user_secret.h). So a token becomes
 * invalid when its user is removed or gets another password. */

#define TOKEN_LIFETIME_S (6u * 3600)
/* The user in tokens of a registry without users. */
#define TOKEN_ANYBODY "anon"

#define TOKEN_MAC_BYTES 32
#define TOKEN_TEXT_MAX (RECORD_ACTOR_MAX + 1 + 20 + BASE64_TEXT(TOKEN_MAC_BYTES) + 1)

/* The parts of a token; they point into its text. */
struct token {
    struct bytes user; /* 1 to RECORD_ACTOR_MAX bytes; may contain dots */
    uint64_t expiry;   /* seconds since 1970 */
    struct bytes head; /* what is signed: user and expiry */
    struct bytes mac;
};

/* Splits a text into its parts. False: it hasn't the form of a token. Doesn't check the signature.
 */
bool token_parse(struct token *t, struct bytes text);

/* Makes a token for a user whose password was checked, valid for TOKEN_LIFETIME_S from now. */
int token_make(const struct registry *reg, const char *user, char out[TOKEN_TEXT_MAX],
               struct err *err);

/* Is the token valid? Then user is its user. Otherwise it is forged or expired at that time (in
 * seconds since 1970), its user is gone or has another password, or the users are not the
 * registry's own. */
bool token_check(const struct registry *reg, struct bytes text, uint64_t at_s,
                 char user[RECORD_ACTOR_MAX + 1]);
