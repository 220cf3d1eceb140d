#pragma once

#include <stdbool.h>
#include "util/bytes.h"

/* Can a pattern (util/glob.h) match any name at all? A pattern that can't is a mistake of its
 * author: "a:b:c", "v{1,2}", "../x". The answer is exact, also about the permitted length of names.
 * A pattern that is too long matches no name. */

bool name_pattern_fits_repository(struct bytes pattern);
bool name_pattern_fits_tag(struct bytes pattern);

/* Messages for the author of such a pattern. */
#define NAME_PATTERN_REPOSITORY \
    "no repository can match it: names have a-z and 0-9, with single . _ - or / between them"
#define NAME_PATTERN_TAG                                                                          \
    "no tag can match it: tags have a-z, A-Z, 0-9, _, . and -, begin with none of the last two, " \
    "and have at most 128 bytes"
