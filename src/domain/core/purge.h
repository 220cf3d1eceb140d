#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/err.h"

/* Deletes all tags and manifests of a repository, each in a transaction and with the events of its
 * own. The pre-hook isn't asked, and immutable tags go, too. */
struct purge {
    const char *by; /* the actor in events and histories */
    bool now; /* also gives up the former targets that the history of its tags keeps, and the leases
               * of blobs that no other repository may serve, even if no manifest names them: their
               * bytes go with the next collection of garbage */
    bool (*is_over)(void *arg); /* ends the work early */
    void (*show)(uint64_t tags, uint64_t manifests, void *arg);
    void *arg;

    uint64_t tags, manifests; /* set by purge_run: how many were deleted */
};

/* Tags and manifests that are pushed meanwhile may stay. ERR_NO_REPOSITORY. */
int purge_run(const struct registry *reg, const char *repository, struct purge *p, struct err *err);
