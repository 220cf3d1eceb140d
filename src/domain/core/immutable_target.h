#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Called before the manifest is deleted, with its tags: 0, or -1 and ERR_DENIED if an immutable tag
 * of the repository names it, or an index that has it as a part, also by way of other indexes. The
 * transaction asks again about the tags that it deletes (tag_move.h). */
int immutable_target_check(const struct registry *reg, const struct actor *actor,
                           const char *repository, uint64_t repo, const struct digest *manifest,
                           struct err *err);
