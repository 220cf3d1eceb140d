#pragma once

#include <stdbool.h>
#include "load.h"

/* Checks that a store has everything after a crash that the script was told. */

/* How a step ended. */
enum check_end {
    CHECK_NOT_BEGUN,
    CHECK_OPEN, /* begun, or failed: it may have happened or not */
    CHECK_DONE, /* acknowledged */
};

struct check {
    bool image[LOAD_REPOSITORIES][LOAD_IMAGES];       /* must be there */
    bool image_maybe[LOAD_REPOSITORIES][LOAD_IMAGES]; /* may be there */
    /* Bits: 1 << image, or NONE for no such tag. */
    unsigned tag[LOAD_REPOSITORIES][LOAD_TAGS];
    bool loose[LOAD_REPOSITORIES][LOAD_LOOSE]; /* must be there */
};
#define CHECK_NONE (1u << LOAD_IMAGES)

void check_begin(struct check *c);
/* The next step of the script. */
void check_add(struct check *c, const struct load_step *s, enum check_end end);

/* Opens the store in the working directory, which begins with a recovery, and compares. Then goes
 * on to use it: collects garbage, looks for leaks, pushes. 0; -1: why says what is wrong. */
int check_store(const struct check *c, char *why, size_t why_n);
/* Lets all leases end, and collects what nobody needs: what is left of that? */
int check_leaks(const struct registry *reg, char *why, size_t why_n);
/* The same for an open store, without a recovery. */
int check_open_store(const struct registry *reg, const struct check *c, char *why, size_t why_n);
