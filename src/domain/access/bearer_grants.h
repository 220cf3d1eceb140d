#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/bytes.h"

/* The access that a token of the second API carries. It bounds what the token's user may do with
 * it, and gives no right that the user doesn't have. */

/* The actions of docker's scopes (distribution's "Token Scope Documentation"), or-ed. */
enum bearer_action {
    BEARER_PULL = 1,
    BEARER_PUSH = 2,
    BEARER_DELETE = 4,
    BEARER_ALL = 8, /* "*": these three, and all others */
};
#define BEARER_ACTIONS 15u

#define BEARER_GRANTS_MAX 100
/* The bytes of all of them in a token. With a user's name and in base64 they fit into a line of
 * headers of 8 KB, which is what web servers take by default. */
#define BEARER_GRANTS_BYTES 5000
/* Of each of them besides its name. */
#define BEARER_GRANT_BYTES 3

struct bearer_grants {
    bool lists; /* registry:catalog:* */
    size_t n;
    struct bearer_grant {
        struct bytes repository;
        unsigned actions;
    } v[BEARER_GRANTS_MAX];
    size_t bytes; /* that v takes in a token */
};

/* Adds actions on a repository to those that are there. The name isn't copied. False, and nothing
 * is added: there are too many. */
bool bearer_grants_add(struct bearer_grants *g, struct bytes repository, unsigned actions);

/* Do they contain one of these actions? */
bool bearer_grants_hold(const struct bearer_grants *g, struct bytes repository, unsigned actions);
