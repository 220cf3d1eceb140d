#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* The blob that the keeper reads next: it reads all of them in a given time. Digests are
 * spread evenly, so the place in the order of digests also says how much of the time has passed:
 * no blob has to be counted. The place is stored now and then. */
struct scrub_place {
    uint64_t at;    /* the first eight bytes of the digest that was read last */
    uint64_t began; /* when this round began, as clock_wall_ms(); 0: not read yet */
    uint64_t saved, saved_ms;
};

struct scrub_blob {
    struct digest digest;
    struct rec_blob r;
};

/* Finds the next blob. 1: read it now; 0: not yet, look again at *when (clock_wall_ms()); -1. */
int scrub_place_next(const struct registry *reg, struct scrub_place *p, uint64_t round_ms,
                     struct scrub_blob *b, uint64_t *when, struct err *err);

/* The blob was read. now: saves the place at once. */
int scrub_place_done(const struct registry *reg, struct scrub_place *p, const struct digest *d,
                     bool now, struct err *err);
