#ifndef DOMAIN_CORE_GARBAGE_H
#define DOMAIN_CORE_GARBAGE_H

#include "domain/registry.h"
#include "util/err.h"

/* Garbage is collected while the registry runs. Work comes from the job table: whoever makes a blob
 * or v1 image that nothing keeps yet, or takes its last keeper away, writes a job for when its
 * lease is over. */

/* Does a bounded number of the jobs that are due. */
int garbage_step(const struct registry *reg, struct err *err);

/* Looks through one directory of blob files (0 … BLOB_FILE_DIRECTORIES - 1) for files that no
 * record names, what a crash between a file and its record left, and has them removed soon; and
 * through that of indexes for those of layers that aren't here. */
int garbage_sweep(const struct registry *reg, unsigned directory, struct err *err);

#endif
