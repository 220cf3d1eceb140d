#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/bearer_grants.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/base64.h"
#include "util/bytes.h"
#include "util/err.h"

/* Tokens of the second API: base64url of a run of bytes and of HMAC-SHA256 over it. The key of that
 * is derived from the server's, for each kind, and mixed with the user's secret (user_secret.h). So
 * a token becomes invalid when its user is removed or gets another password. A client treats it as
 * a text without a meaning. */

enum bearer_kind {
    BEARER_ACCESS = 1,  /* for requests, as far as its grants go */
    BEARER_REFRESH = 2, /* for nothing but getting access tokens; has no grants, but a user */
};

#define BEARER_REFRESH_LIFETIME_S (90 * UINT64_C(86400))

#define BEARER_MAC_BYTES 32
#define BEARER_BYTES_MAX (21 + RECORD_ACTOR_MAX + BEARER_GRANTS_BYTES + BEARER_MAC_BYTES)
#define BEARER_TEXT_MAX BASE64_TEXT(BEARER_BYTES_MAX)

struct bearer {
    enum bearer_kind kind;
    char user[RECORD_ACTOR_MAX + 1]; /* "": an anonymous client */
    uint64_t issued_s, expiry_s;     /* since 1970 */
    struct bearer_grants grants;     /* after bearer_parse, their names are in `bytes` */
    struct bytes head, mac;          /* of bearer_parse: what is signed, and the signature */
    uint8_t bytes[BEARER_BYTES_MAX];
};

/* Takes a text apart. False: it is no token. Doesn't check the signature. */
bool bearer_parse(struct bearer *b, struct bytes text);

/* Makes the token from kind, user, times and grants. The caller has authenticated the user, if
 * there is one. The token of a robot expires no later than the robot. */
int bearer_make(const struct registry *reg, struct bearer *b, char out[BEARER_TEXT_MAX],
                struct err *err);

/* Is the text a valid token of that kind? Then *b has its content. Otherwise it is no token,
 * forged, of another kind or expired at that time (seconds since 1970), or its user is gone or has
 * another password. */
bool bearer_check(const struct registry *reg, struct bytes text, enum bearer_kind kind,
                  uint64_t at_s, struct bearer *b);
