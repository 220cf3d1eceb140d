#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "util/err.h"

/* Access rights, decided in this one place. The dispatcher asks for each request, before the
 * handler of the route runs. */

struct bearer_grants;

enum verb {
    VERB_PUBLIC, /* everybody, even if there are users */
    VERB_LOGIN,  /* everybody who has a right anywhere */
    VERB_LIST,   /* the same; a token of the second API needs the scope of lists */
    VERB_PULL,
    VERB_PUSH,
    VERB_DELETE,
    VERB_ADMIN,
};

/* The user and client that make a request. Both texts are never NULL. */
struct actor {
    const char *user;                   /* checked by nginx; "" for an anonymous client */
    const char *address;                /* of the client, for limits: see util/network.h */
    bool quiet;                         /* an import: causes no events, and no hook is asked */
    const struct bearer_grants *grants; /* of the token that the client showed; NULL: no bound */
};

/* Does the registry have users? If not, everybody may pull and push. */
bool access_users_exist(const struct registry *reg);

/* May a client without a user have tokens? */
bool access_anonymous_may(const struct registry *reg);

/* repository: NULL for a route without one. Returns 0, or -1 and ERR_UNAUTHORIZED (credentials
 * would help, or a token of a larger scope) or ERR_DENIED. The answer doesn't depend on whether the
 * repository exists. */
int access_check(const struct registry *reg, const struct actor *actor, const char *repository,
                 enum verb verb, struct err *err);
