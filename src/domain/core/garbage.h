#pragma once

#include "domain/registry.h"
#include "util/err.h"

/* The keeper collects garbage while the registry runs. Its work is in table job: a transaction that
 * makes a blob or a foreign image which nothing keeps yet, or removes the last edge that kept one,
 * adds a job for the end of its lease (lease.h). */

/* Does a bounded number of the jobs that are due. 1: more may be due; 0; -1. */
int garbage_step(const struct registry *reg, struct err *err);

/* When the first job is due, as clock_wall_ms(); UINT64_MAX: there is none. 0, -1. */
int garbage_due(const struct registry *reg, uint64_t *when, struct err *err);

/* Looks through one directory of blob files (0 … DIGEST_DIRECTORIES - 1) for files without a
 * record, which a crash can leave, and adds jobs that remove them soon. Then looks through one
 * directory of indexes, and removes the indexes of layers that aren't in the store. */
int garbage_sweep(const struct registry *reg, unsigned directory, struct err *err);
