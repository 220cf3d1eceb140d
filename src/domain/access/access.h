#ifndef DOMAIN_ACCESS_ACCESS_H
#define DOMAIN_ACCESS_ACCESS_H

#include <stdbool.h>
#include "domain/registry.h"
#include "util/err.h"

/* Who may do what. The one place: the dispatcher asks it for every route before any handler runs.
 */

enum verb {
    VERB_PUBLIC, /* anybody, also where there are users */
    VERB_LOGIN,  /* anybody who could do something somewhere */
    VERB_PULL,
    VERB_PUSH,
    VERB_DELETE,
    VERB_ADMIN,
};

/* Whoever asks. Both texts are never NULL. */
struct actor {
    const char *user;    /* checked by nginx; "" for nobody */
    const char *address; /* of the client */
    bool quiet;          /* nobody hears of what he does, and no hook is asked: an import */
};

/* Are there users at all? Without any, everybody may pull and push. */
bool access_users_exist(const struct registry *reg);

/* repository: NULL where the route has none. 0, or -1 and ERR_UNAUTHORIZED (credentials would help)
 * or ERR_DENIED; the same whether the repository exists or not. */
int access_check(const struct registry *reg, const struct actor *actor, const char *repository,
                 enum verb verb, struct err *err);

#endif
