#pragma once

#include <stddef.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Deletes many things, each in a transaction of its own. */

/* Deletes all tags of the repository. *n: their number; 0 also when the repository doesn't exist.
 */
int delete_all_tags(const struct registry *reg, const char *repository, const struct actor *actor,
                    size_t *n, struct err *err);
