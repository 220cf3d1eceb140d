#ifndef DOMAIN_CORE_TAG_H
#define DOMAIN_CORE_TAG_H

#include <stdbool.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"

/* Where a tag is written: the record and its history, in the caller's transaction. *old: where it
 * pointed before, or DIGEST_NONE. The caller moves the edge (EDGE_TAG) and tells of the event, both
 * of which come later in the order of tables. ERR_FULL: it is new, and one too many. */
int tag_move(struct txn *t, const struct registry *reg, uint64_t repo, const char *tag,
             const struct digest *to, const struct actor *actor, struct digest *old,
             struct err *err);

/* Where a tag is deleted, likewise: if it points at `from`. 1 done, 0 it doesn't (or isn't there),
 * -1. */
int tag_remove(struct txn *t, uint64_t repo, const char *tag, const struct digest *from,
               const struct actor *actor, struct err *err);

struct tag_page {
    const char **names; /* in byte order, in the arena */
    size_t n;
    bool more; /* is there at least one behind the last? */
};

/* At most `limit` tags behind `after`. ERR_NO_REPOSITORY. */
int tag_list(const struct registry *reg, const char *repository, const char *after, size_t limit,
             struct arena *arena, struct tag_page *page, struct err *err);

#endif
