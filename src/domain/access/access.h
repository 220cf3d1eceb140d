#pragma once

#include <stdbool.h>
#include "domain/access/access_table.h"
#include "domain/registry.h"
#include "util/err.h"

/* All access rights are decided here. The dispatcher asks for each request, before the handler of
 * the route runs. Code that needs a right beyond the repository of the request asks here, too: for
 * the source of a mount, the names in a list, and the tags that a push moves. */

struct bearer_grants;

enum verb {
    VERB_PUBLIC, /* everybody, even if there are users */
    VERB_LOGIN,  /* everybody who has logged in, or has a token */
    VERB_LIST,   /* the same, and everybody who may pull from some repository; a token of the second
                  * API needs the scope of lists. A list shows what the actor may pull. */
    VERB_PULL,
    VERB_PUSH, /* with RIGHT_CREATE or RIGHT_OVERWRITE; tag_move.c checks which of them */
    VERB_DELETE,
    VERB_ADMIN,
};

/* The user and client that make a request. Both texts are never NULL. */
struct actor {
    const char *user;    /* checked by nginx, or of a token; "" for an anonymous client */
    const char *address; /* of the client, for limits: see util/network.h */
    bool quiet;          /* an import: has all rights, causes no events, and no hook is asked */
    bool administrator;  /* a command: has all rights */
    bool forces;         /* a command with --force: changes immutable tags, too */
    const struct bearer_grants *grants; /* of the token that the client showed; NULL: no bound */
};

/* Takes up changes of users and rules. Called once at the start of each request. */
void access_look(const struct registry *reg);

/* Does the registry have users or rules? If not, everybody may pull and push. */
bool access_users_exist(const struct registry *reg);

/* Were users or rules replaced after that moment (clock_wall_ms())? nginx may then have checked a
 * password that is no longer valid. A moment shortly after the change counts as before it. */
bool access_changed_since(const struct registry *reg, uint64_t at_ms);

/* A text that changes when users or rules are replaced. */
#define ACCESS_VERSION_TEXT 64
void access_version(const struct registry *reg, char out[ACCESS_VERSION_TEXT]);

/* May a client without a user do anything, and so have tokens? */
bool access_anonymous_may(const struct registry *reg);

/* Does that user still exist? Always true with --trust-remote-user: only the site around this
 * registry knows its users. */
bool access_user_is_known(const struct registry *reg, const char *user);

/* The actor's rights (enum right) on a repository. They don't depend on whether it exists. */
unsigned access_rights(const struct registry *reg, const struct actor *actor,
                       const char *repository);

/* Does the actor have the same rights on every repository, and do they include `rights`? Then the
 * caller needn't ask for each repository. */
bool access_everywhere(const struct registry *reg, const struct actor *actor, unsigned rights);

/* Does the actor have RIGHT_ADMIN on every repository? Information about the whole registry
 * requires this. */
bool access_administers(const struct registry *reg, const struct actor *actor);
/* The same as a check: 0, or -1 and ERR_UNAUTHORIZED or ERR_DENIED. */
int access_check_administrator(const struct registry *reg, const struct actor *actor,
                               struct err *err);

/* For a list of the repositories from which the actor may pull: moves `after` forward over names of
 * other repositories. False: no such repository is behind it. The caller still has to ask about
 * each name. */
bool access_skip(const struct registry *reg, const struct actor *actor,
                 char after[RECORD_REPOSITORY_MAX + 1]);

/* repository: NULL for a route without one; then a right on any repository is enough. Returns 0, or
 * -1 and ERR_UNAUTHORIZED (credentials would help, or a token of a larger scope) or ERR_DENIED. The
 * answer doesn't depend on whether the repository exists. */
int access_check(const struct registry *reg, const struct actor *actor, const char *repository,
                 enum verb verb, struct err *err);
