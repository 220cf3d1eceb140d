#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Blobs whose files are damaged or missing: table damage. */

/* Notes that the file of that instance is damaged, and tells of it (EVENT_DAMAGE). 1; 0: it was
 * known, or the blob has another file by now; -1. */
int damage_note(const struct registry *reg, const struct digest *d, uint64_t instance,
                const char *why, struct err *err);

/* Takes the blob out of use, so that the next push of it stores it again: deletes its record, and
 * the rights of repositories that have no manifest which needs it; moves its file to the
 * quarantine, and removes its index. Manifests that need it stay, with the edges to it: a client
 * that pushes the image again is told that the blob is missing, sends it, and then the image is
 * whole. An image of the first API that has it as its layer waits for a layer again. If nothing
 * needs the blob, nothing of it is left. 0 also when the blob has another file by now. */
int damage_quarantine(const struct registry *reg, const struct digest *d, uint64_t instance,
                      const char *why, struct err *err);

/* For the keeper: forgets what is over. A blob that has come back gets its index again. Looks at a
 * bounded number. */
int damage_settle(const struct registry *reg, struct err *err);
