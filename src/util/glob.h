#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* Patterns for paths. They match bytes, as fnmatch(3) does with FNM_PATHNAME in the C locale:
 *
 *   ?        any byte except a slash
 *   *        any number of such bytes; a leading dot is not special
 *   [a-z]    one of these bytes, never a slash; [!a-z] or [^a-z]: one of the other bytes. Ranges
 *            and classes such as [:digit:] are allowed. A ] directly after the opening, and a -
 *            at the start or end, stand for themselves. A [ that is never closed stands for itself
 *   \x       the byte x, whatever it is
 *
 * There is one addition. ** matches any bytes, slashes too. As a whole component, ** also matches
 * no component at all, so that a pattern for any directory below X also covers X itself.
 *
 * A match takes one step for each byte of the text, whatever the pattern is: the set of all places
 * of the pattern where the match may be is kept as bits. */

/* Maximal length of a pattern, in bytes. */
#define GLOB_MAX 255

#define GLOB_WORDS ((GLOB_MAX + 1 + 63) / 64)

struct glob_set {
    uint64_t word[GLOB_WORDS];
};

struct glob {
    struct glob_set goes_on[256]; /* places that this byte moves on to the next place */
    struct glob_set stays[256];   /* places that match any number of this byte */
    struct glob_set empty;        /* places that may be skipped without a byte, */
    struct glob_set
        entering; /* and that may be skipped with the next place, but only on entering */
    struct glob_set start;
    size_t n; /* number of places; place n is the end */
};

/* Returns 0, or -1 and ERR_TOO_LONG. */
int glob_compile(struct glob *g, struct bytes pattern, struct err *err);
/* Is each [ closed, or behind a \\? For patterns of names that have no [, where one that isn't
 * would never match, without a word. */
bool glob_is_closed(struct bytes pattern);
bool glob_match(const struct glob *g, struct bytes text);

/* How a text matches: from the set of places g->start on, each byte leads from places to
 * places, and a text matches if its last byte leads to the end. */

/* The places that one byte leads on from, and those at which it stays. */
struct glob_byte {
    struct glob_set goes_on, stays;
};

/* The common effect of all bytes in any_of. */
struct glob_byte glob_byte_of(const struct glob *g, struct bytes any_of);
/* Moves the set by one byte. False: no place is left. */
bool glob_step(const struct glob *g, struct glob_set *at, const struct glob_byte *b);
bool glob_is_at_end(const struct glob *g, const struct glob_set *at);
