#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Puts a tag back to a former target from its history (tag_history.h). A manifest that was deleted
 * meanwhile comes out of the trash (trash.h), with the manifests of an index. Except for that, it
 * is a push of the manifest with that tag: pre-hook, history, limits, events and all. */
struct undo {
    const char *repository;
    const char *tag;
    const struct actor *actor;

    struct digest from, to; /* the result: what the tag named, and names now; or DIGEST_NONE */
};

/* Puts the tag back to its target before its last move. If that move was its deletion, this is
 * undo_restore. */
int undo_last(const struct registry *reg, struct undo *u, struct err *err);

/* Puts the tag back to its target after the move of that number. */
int undo_to(const struct registry *reg, struct undo *u, uint64_t number, struct err *err);

/* Restores a deleted tag with its last target. ERR_EXISTS: the tag exists. */
int undo_restore(const struct registry *reg, struct undo *u, struct err *err);

/* Errors of all three: ERR_NO_REPOSITORY, ERR_NO_MANIFEST: there is no such move, or its target
 * isn't in the store any more. ERR_CONDITION: the tag was moved by somebody else meanwhile. */
