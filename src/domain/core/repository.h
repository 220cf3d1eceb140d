#ifndef DOMAIN_CORE_REPOSITORY_H
#define DOMAIN_CORE_REPOSITORY_H

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/err.h"

/* A repository comes to be with the first thing that is uploaded to it. Names are checked by the
 * caller (name.h). */

/* 1 and its record, 0, -1. */
int repository_find(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* The same, but a missing one is -1 and ERR_NO_REPOSITORY. */
int repository_need(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* Finds it or makes it, in a transaction of its own. ERR_FULL: it would be one too many. */
int repository_ensure(const struct registry *reg, const char *name, struct rec_repo *r,
                      struct err *err);

/* Has it a manifest, or a tag (of v1 images there is nothing else)? One that was emptied, or into
 * which nothing came yet, hasn't. 1, 0, -1. */
int repository_has_any(const struct registry *reg, uint64_t id, struct err *err);

/* Which one a client of the first API means: to it, NAME and library/NAME are the same, for a NAME
 * of one part. The one that is called just so, if there is anything in it; else the other, if there
 * is anything in that; else the one called so. *meant: name, or a text in the arena. */
int repository_meant(const struct registry *reg, const char *name, struct arena *arena,
                     const char **meant, struct err *err);

/* A walk over all repositories, in byte order, some at a time and with no cursor open meanwhile. */
#define REPOSITORY_BATCH 64
struct repository_batch {
    char after[RECORD_REPOSITORY_MAX + 1]; /* the name behind which to begin; "" for all */
    struct {
        char name[RECORD_REPOSITORY_MAX + 1];
        uint64_t id;
    } v[REPOSITORY_BATCH];
    size_t n; /* fewer than REPOSITORY_BATCH: the last ones */
};

/* The next ones: at first behind `after`, which the caller sets, and then where it got to. */
int repository_next(const struct registry *reg, struct repository_batch *b, struct err *err);

/* Notes in a transaction that it changed: to the minute, so that pushes don't wait for each other
 * at this record. r is its record as it was read. */
int repository_touch(struct txn *t, const char *name, const struct rec_repo *r, uint64_t now,
                     struct err *err);

#endif
