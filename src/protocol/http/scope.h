#pragma once

#include <stdbool.h>
#include "util/buf.h"
#include "util/bytes.h"

/* Scopes, by which clients ask for tokens (distribution's "Token Scope Documentation"):
 *     repository:NAME:pull,push
 *     registry:catalog:*
 *     registry:catalog:search   the same
 * A class, as in repository(plugin), makes no difference. */

struct scope {
    bool lists;              /* registry:catalog:* */
    struct bytes repository; /* a valid name, in the text; else empty */
    unsigned actions;        /* on it, of enum bearer_action; unknown ones are left out */
};

/* False: the text is no scope of a registry. */
bool scope_parse(struct scope *s, struct bytes text);

/* Appends the scope of actions on a repository, with a blank in front unless out is empty. */
void scope_put(struct buf *out, struct bytes repository, unsigned actions);

/* The same for the scope of lists. */
void scope_put_lists(struct buf *out);
