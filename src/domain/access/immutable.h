#pragma once

#include <stddef.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Immutable tags (--immutable). Such a tag is created once. Then it names its target until an
 * administrator changes it: it isn't moved, and neither it nor its manifest is deleted.
 *
 * A pattern is TAGS or REPOSITORIES:TAGS. Both parts are patterns of util/glob.h: for the whole
 * tag, and for the whole name of the repository. The colon is the first one outside of brackets.
 * Without the first part, it is about the tags of all repositories. */

/* For the check of the option. 0, or -1 and ERR_BAD_REQUEST. */
int immutable_parse(const char *pattern, struct err *err);

/* The pattern by which the tag is immutable; NULL: it isn't. */
const char *immutable_find(const struct registry *reg, const char *repository, const char *tag);

/* Called when the existing tag is to be moved or deleted. 0, or -1 and ERR_DENIED. */
int immutable_check(const struct registry *reg, const struct actor *actor, const char *repository,
                    const char *tag, const struct digest *target, struct err *err);
