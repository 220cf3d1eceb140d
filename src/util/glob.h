#ifndef UTIL_GLOB_H
#define UTIL_GLOB_H

#include <stdbool.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* Patterns for paths, over bytes, as fnmatch(3) with FNM_PATHNAME has them in the C locale:
 *
 *   ?        any byte but a slash
 *   *        any number of those; a leading dot is nothing special
 *   [a-z]    one of these bytes, never a slash; [!a-z] or [^a-z]: any other. Ranges, and classes
 *            as [:digit:]; a ] directly behind the beginning, and a - in front or at the end, stand
 *            for themselves. What isn't closed is a [ and what follows
 *   \x       x, whatever it is
 *
 * and beyond it, **: any bytes, slashes too; as a component of its own also none at all, so that
 * what would be found in any directory below X is found in X itself.
 *
 * Matching takes one step for each byte of the text, whatever the pattern is: all the places of the
 * pattern where the match may be at once are bits of a set. */

/* The longest pattern, in bytes. */
#define GLOB_MAX 255

#define GLOB_WORDS ((GLOB_MAX + 1 + 63) / 64)

struct glob_set {
    uint64_t word[GLOB_WORDS];
};

struct glob {
    struct glob_set goes_on[256]; /* for each byte, the places that are left for the next */
    struct glob_set stays[256];   /* and those that take any number of it */
    struct glob_set empty;        /* places that may be passed with no byte at all, */
    struct glob_set entering;     /* and, only when the match comes there, with the next one */
    struct glob_set start;
    size_t n; /* places; the n-th is the end */
};

/* 0; -1 and ERR_TOO_LONG. */
int glob_compile(struct glob *g, struct bytes pattern, struct err *err);
bool glob_match(const struct glob *g, struct bytes text);

#endif
