#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

/* The bytes of the blobs of each repository, each counted once for a repository, in memory that all
 * processes of a server share. The census (census.h) counts them, and publishes them when it has
 * been through the whole store. So they are seconds old, or older in a large store. Looking one up
 * costs no read of the store, and takes no lock.
 *
 * Any process may be killed at any point: what was not published is counted anew. */

/* Repositories that have a place. The sizes of others are not known. */
#define REPOSITORY_SIZES_SLOTS (1u << 18)

struct repository_sizes {
    struct repository_sizes_shared *shared; /* NULL: nothing is known */
};

/* Call it before the processes are forked that share it. The memory is used as it is needed: 32
 * bytes for a repository. */
int repository_sizes_make(struct repository_sizes *s, struct err *err);
void repository_sizes_close(struct repository_sizes *s);

/* Counting, by one process at a time. s may be NULL. */
void repository_sizes_begin(const struct repository_sizes *s);
void repository_sizes_add(const struct repository_sizes *s, uint64_t repo, uint64_t bytes);
void repository_sizes_publish(const struct repository_sizes *s);

/* False: it isn't known. s may be NULL. */
bool repository_sizes_find(const struct repository_sizes *s, uint64_t repo, uint64_t *bytes);

struct repository_size {
    uint64_t repo;
    uint64_t bytes;
};

/* The largest ones, at most `max`, the largest first. Returns their number. s may be NULL. */
size_t repository_sizes_largest(const struct repository_sizes *s, struct repository_size *v,
                                size_t max);
