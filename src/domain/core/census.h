#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Counts what no tally has: all tags, and the blobs with their bytes. It walks through the store in
 * bounded steps, while others change it, so the numbers are those of no single moment; without
 * changes they are exact. The sizes of repositories are counted as well, if reg->sizes is there.
 * The memory that it needs doesn't grow with the store. */
struct census_numbers {
    uint64_t tags;
    uint64_t blobs, bytes;
    uint64_t shared_bytes; /* bytes that would be added if each repository had its own copies */
};

/* All zero: at the beginning. */
struct census {
    bool in_blobs;        /* the tags are counted */
    uint64_t repo;        /* the last repository whose tags are counted */
    struct digest blob;   /* the last blob that is begun */
    uint64_t size, owner; /* of that: its size, and the last repository that has it; owner 0: all of
                           * them are counted */
    bool has_owner;       /* one of them is a repository that is there */
    struct census_numbers numbers; /* so far */
};

/* The numbers of the last census, kept in the store until the first census after a start has ended.
 * census_last: 1, 0 (none were kept), -1. at_ms: clock_wall_ms() of its end. */
int census_last(const struct registry *reg, struct census_numbers *out, uint64_t *at_ms,
                struct err *err);
int census_keep(const struct registry *reg, const struct census_numbers *n, uint64_t at_ms,
                struct err *err);

/* A step, in a few milliseconds. 1: there is more to count. 0: *out has the numbers, and the census
 * begins anew. -1. */
int census_step(struct census *c, const struct registry *reg, struct census_numbers *out,
                struct err *err);
