#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/err.h"

/* A repository begins in the transaction that puts something into it: a blob, a manifest or a tag.
 * It counts among --max-repositories until its last manifest and tag are deleted. Then, or if only
 * blobs ever came, its record is removed when nothing was put into it for the time of a lease, so
 * that no push loses the blobs that it has sent. The rights to blobs (EDGE_MEMBER) of a removed
 * repository mean nothing, since its id is not used again; they go with the blobs. The caller has
 * checked the name (name.h). */

/* 1 and its record, 0, -1. */
int repository_find(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* The same, but a missing repository is -1 and ERR_NO_REPOSITORY. */
int repository_need(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* The same, but for a missing repository *r is all zero: 0, -1. For repository_enter. */
int repository_look(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* r: as repository_look filled it. ERR_FULL: it would be one too many. For a request that puts
 * something into the repository later. */
int repository_check_room(const struct registry *reg, const struct rec_repo *r, struct err *err);

/* The first act of a transaction that puts something into the repository. Makes the repository if
 * it isn't there, counts it if it doesn't count, and notes the time. r: as repository_look filled
 * it; then the record as it is. ERR_FULL. */
int repository_enter(struct txn *t, const struct registry *reg, const char *name, uint64_t now,
                     struct rec_repo *r, struct err *err);

/* A pusher was told that the repository, which is there, has a blob: if it has nothing else, it
 * stays for another lease. */
int repository_hold(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* After a deletion: if that was its last manifest or tag, the repository doesn't count any more. A
 * failure is logged, and made up for by repository_sweep. */
void repository_settle(const struct registry *reg, const char *name);

/* Finds it or makes it, in a transaction of its own: for an import. ERR_FULL. */
int repository_ensure(const struct registry *reg, const char *name, struct rec_repo *r,
                      struct err *err);

/* Does the repository have a manifest, or a tag? (Of foreign images it has only tags.) It has
 * neither when nothing has been pushed yet, or everything was deleted. 1, 0, -1. */
int repository_has_any(const struct registry *reg, uint64_t id, struct err *err);

/* The repository that a client of the first API means. For a NAME of one part, NAME and
 * library/NAME mean the same: the exact name wins if that repository has anything; otherwise the
 * other name wins if that one has; otherwise the exact name. *meant: name, or a text in the arena.
 */
int repository_meant(const struct registry *reg, const char *name, struct arena *arena,
                     const char **meant, struct err *err);

/* A walk over all repositories in byte order, batch by batch; no cursor is open between them. */
#define REPOSITORY_BATCH 64
struct repository_batch {
    char after[RECORD_REPOSITORY_MAX + 1]; /* the walk goes on behind this name; "": at the first */
    struct {
        char name[RECORD_REPOSITORY_MAX + 1];
        uint64_t id;
        uint64_t updated;
    } v[REPOSITORY_BATCH];
    size_t n; /* fewer than REPOSITORY_BATCH: this is the last batch */
};

/* The next batch. The caller sets `after` before the first. */
int repository_next(const struct registry *reg, struct repository_batch *b, struct err *err);

/* One step of a sweep, for the keeper: the next batch. Removes repositories without manifests and
 * tags into which nothing was put for the time of a lease. b: all zero at first. */
int repository_sweep(const struct registry *reg, struct repository_batch *b, struct err *err);
