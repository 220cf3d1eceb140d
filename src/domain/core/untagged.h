#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/gone_set.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* A walk over the manifests of all repositories, in steps, that deletes those which nothing reaches
 * (reach.h). A manifest that was just pushed stays as long as a lease, because an index or a tag
 * may follow. When an index goes, its parts are found in this walk or in the next one. All zero at
 * first; it has only a position, so nothing is lost with it. */
struct untagged_walk {
    uint64_t repo;
    struct digest after;
    uint64_t seen;  /* manifests that were looked at in this walk, */
    uint64_t found; /* and deleted */
};

/* The user in events about what the keeper deletes. */
#define UNTAGGED_ACTOR "gc-untagged"

struct untagged_manifest {
    uint64_t repo;
    char repository[RECORD_REPOSITORY_MAX + 1];
    struct digest digest;
    uint64_t size;
    uint64_t pushed;
    uint64_t until;  /* it stays until then; 0: it goes */
    bool is_history; /* because of the history of a tag, and not of its lease */
};

struct untagged_rule {
    uint64_t age_ms;       /* since the push, and since the last tag left it */
    const char *by;        /* the actor in events; NULL: UNTAGGED_ACTOR */
    struct gone_set *gone; /* not NULL: nothing is deleted, but added to the set */
    bool only_tells;       /* nothing is deleted */
    void (*tell)(const struct untagged_manifest *m,
                 void *arg); /* of each that goes or waits; NULL */
    void *arg;
};

/* Looks at some manifests. A manifest that can't be deleted is logged, and left for the next walk.
 * 1: there may be more; 0: the walk is at its end, and begins anew; -1. */
int untagged_step(const struct registry *reg, struct untagged_walk *w,
                  const struct untagged_rule *rule, struct err *err);
