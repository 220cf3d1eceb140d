#pragma once

#include "domain/registry.h"
#include "util/err.h"

/* Garbage is collected while the registry runs, by the keeper. Its work comes from table job: a
 * transaction that makes a blob or a foreign image that nothing keeps yet, or removes its last
 * keeper, puts a job for the end of its lease (lease.h). */

/* Does a bounded number of the jobs that are due. 1: more may be due; 0; -1. */
int garbage_step(const struct registry *reg, struct err *err);

/* Looks through one directory of blob files (0 … BLOB_FILE_DIRECTORIES - 1) for files that no
 * record names, which a crash between a file and its record leaves, and puts jobs that remove them
 * soon; and through one directory of indexes for those of layers that aren't here. */
int garbage_sweep(const struct registry *reg, unsigned directory, struct err *err);
