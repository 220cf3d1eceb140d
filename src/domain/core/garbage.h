#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* The keeper collects garbage while the registry runs. Its work is in table job: a transaction that
 * makes a blob or a foreign image which nothing keeps yet, or removes the last edge that kept one,
 * adds a job for the end of its lease (lease.h). */

/* Does a bounded number of the jobs that are due. 1: more may be due; 0; -1. */
int garbage_step(const struct registry *reg, struct err *err);

/* clock_wall_ms(), by which leases are judged: the slowest clock of all nodes. */
uint64_t garbage_now(const struct registry *reg);

/* When the first job is due, as clock_wall_ms(); UINT64_MAX: there is none. 0, -1. */
int garbage_due(const struct registry *reg, uint64_t *when, struct err *err);

/* An older file without a record won't get a record. */
#define GARBAGE_SWEEP_AGE_S 3600

/* Looks through one directory of blob files (0 … DIGEST_DIRECTORIES - 1) for files without a
 * record, which a crash can leave, and adds jobs that remove them soon. Then looks through one
 * directory of indexes, and removes the indexes of layers that aren't in the store. */
int garbage_sweep(const struct registry *reg, unsigned directory, struct err *err);

/* With --blobs s3://...: removes the copies in this node's cache/ whose digest begins with that
 * byte, if their blob is gone. The node that removes an object doesn't know the copies of others.
 */
int garbage_sweep_copies(const struct registry *reg, unsigned byte, struct err *err);

/* ---- for a round by hand (garbage_round.h) ---- */

/* Blobs of one call, and transaction. Pushes wait for the pages that it locks. */
#define GARBAGE_GROUP 25

struct garbage_blob {
    struct digest digest;
    bool is_gone; /* set by garbage_collect: it was deleted */
};

/* Deletes those of the blobs, sorted by digest, whose lease is over and that nothing keeps. Their
 * files go soon after. */
int garbage_collect(const struct registry *reg, struct garbage_blob *v, size_t n, struct err *err);

/* During a backup, by any process or machine, no file is removed. True also if that can't be asked.
 */
bool garbage_is_held(const struct registry *reg);

/* Removes files whose time has come: a bounded number. 1: there may be more; 0; -1. */
int garbage_unlink(const struct registry *reg, struct err *err);
/* The same for manifests that were made of images of the first API and have lost their tags, and
 * for what the histories of tags no longer keep. */
int garbage_forget(const struct registry *reg, struct err *err);

/* Is the file one that no record names and none will name any more? 1, 0, -1. */
int garbage_is_orphan(const struct registry *reg, const struct digest *d, uint64_t instance,
                      uint64_t age_s, struct err *err);
