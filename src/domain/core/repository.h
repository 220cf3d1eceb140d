#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/err.h"

/* The first upload to a repository makes it. The caller has checked the name (name.h). */

/* 1 and its record, 0, -1. */
int repository_find(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* The same, but a missing repository is -1 and ERR_NO_REPOSITORY. */
int repository_need(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* Finds it or makes it, in a transaction of its own. ERR_FULL: it would be one too many. */
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
    } v[REPOSITORY_BATCH];
    size_t n; /* fewer than REPOSITORY_BATCH: this is the last batch */
};

/* The next batch. The caller sets `after` before the first. */
int repository_next(const struct registry *reg, struct repository_batch *b, struct err *err);

/* In a transaction that changes the repository: sets the time of its last change, which is kept to
 * the minute, so that pushes don't wait for each other at this record. r: the record as it was
 * read. */
int repository_touch(struct txn *t, const char *name, const struct rec_repo *r, uint64_t now,
                     struct err *err);
