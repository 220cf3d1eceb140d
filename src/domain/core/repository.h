#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"
#include "util/arena.h"
#include "util/err.h"

/* A repository is created by the transaction that puts its first blob, manifest or tag into it. It
 * counts towards --max-repositories until the deletion of its last manifest and tag, or of a blob
 * when it has neither. The record of a repository without manifests and tags is removed when
 * nothing was put into it for the time of a lease; until then a push can rely on the blobs that it
 * has sent. Edges EDGE_MEMBER of a removed repository have no effect, since its id is not used
 * again, and are removed with their blobs. The caller has checked the name (name.h). */

/* Finds the record of a repository. 1, 0, -1. */
int repository_find(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* The same, but a missing repository is -1 and ERR_NO_REPOSITORY. */
int repository_need(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* The same, but a missing repository is 0, and *r is all zero. For repository_enter. */
int repository_look(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* Announces one of these three, on kv_reads (kv_expect). Returns the id that the record most likely
 * has, so that more can be announced; 0: it isn't known. */
uint64_t repository_expect(const struct registry *reg, const char *name);

/* Checks that the repository could be created, for a request that puts something into it later. r:
 * as repository_look filled it. ERR_FULL: --max-repositories is reached. */
int repository_check_room(const struct registry *reg, const struct rec_repo *r, struct err *err);

/* The first step of a transaction that puts something into the repository. Creates the repository
 * if it doesn't exist, counts it if it isn't counted, and sets the time of its last change. r: as
 * repository_look filled it; afterwards the new record. ERR_FULL. */
int repository_enter(struct txn *t, const struct registry *reg, const char *name, uint64_t now,
                     struct rec_repo *r, struct err *err);

/* Announces what it reads first. r and now: as it will get them. */
void repository_expect_enter(struct txn *t, const char *name, uint64_t now,
                             const struct rec_repo *r);

/* Keeps an existing repository for another lease if it has only blobs. Called when a client that
 * may push was told that the repository has a blob. */
int repository_hold(const struct registry *reg, const char *name, struct rec_repo *r,
                    struct err *err);

/* Called after a deletion: a repository without manifests and tags no longer counts. A failure is
 * logged, and repository_sweep repeats this. */
void repository_settle(const struct registry *reg, const char *name);

/* Finds or creates the repository, in a transaction of its own. For an import. ERR_FULL. */
int repository_ensure(const struct registry *reg, const char *name, struct rec_repo *r,
                      struct err *err);

/* Does the repository have a manifest or a tag? (Foreign images have only tags.) 1, 0, -1. */
int repository_has_any(const struct registry *reg, uint64_t id, struct err *err);

/* Finds the repository that a client of the first API means. For a NAME of one part, NAME and
 * library/NAME are the same repository: the exact name wins if it has a manifest or a tag, then the
 * other name if that has one, else the exact name. A repository on which the actor has no right
 * doesn't count. *meant: `name`, or a text in the arena. */
int repository_meant(const struct registry *reg, const struct actor *actor, const char *name,
                     struct arena *arena, const char **meant, struct err *err);

/* The name of the repository with that id. 1; 0: there is none, or it has no entry yet; -1. */
int repository_name(const struct registry *reg, uint64_t id, char name[RECORD_REPOSITORY_MAX + 1],
                    struct err *err);

/* May the actor pull from the repository with that id? 1, 0, -1. */
int repository_may_pull(const struct registry *reg, const struct actor *actor, uint64_t id,
                        struct err *err);

/* A walk over the repositories with an edge of one kind to a digest, from which the actor may pull.
 * It ends after this many repositories, also hidden ones. Several walks can share the number. */
#define REPOSITORY_WALK_MAX 10000
struct repository_walk {
    struct digest to;
    enum edge_kind kind;
    uint64_t repo;  /* the one that was found last; 0 at first */
    unsigned asked; /* repositories that were looked at */
};

/* 1: w->repo is the next one; 0: there is none; -1. */
int repository_walk_next(const struct registry *reg, const struct actor *actor,
                         struct repository_walk *w, struct err *err);

/* Adds the names of repositories that were made by programs before table repo_name. The keeper
 * calls it when it starts; it does something only the first time. */
int repository_name_all(const struct registry *reg, struct err *err);

/* A walk over all repositories in the byte order of their names, in batches. No cursor is open
 * between two batches. */
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

/* Reads the next batch. The caller sets `after` before the first one. */
int repository_next(const struct registry *reg, struct repository_batch *b, struct err *err);

/* The same, but passes over most of the repositories from which the actor may not pull. */
int repository_next_seen(const struct registry *reg, const struct actor *actor,
                         struct repository_batch *b, struct err *err);

/* One step of the keeper's sweep: looks at the next batch, and removes the repositories without
 * manifests and tags into which nothing was put for the time of a lease. b: all zero at first. */
int repository_sweep(const struct registry *reg, struct repository_batch *b, struct err *err);
