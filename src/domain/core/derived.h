#ifndef DOMAIN_CORE_DERIVED_H
#define DOMAIN_CORE_DERIVED_H

#include <stdbool.h>
#include <stdint.h>
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Derived manifests: the registry itself made one from a foreign image (foreign_images.h), which
 * the manifest keeps. It goes with its last tag, unless a client has pushed it as well. */

bool derived_is(const struct rec_manifest *r);

/* For a transaction that moves a tag away from `old`: is that a derived manifest? 1, 0, -1. */
int derived_was(struct txn *t, uint64_t repo, const struct digest *old, struct err *err);
/* Then, later in the order of tables: puts the job (JOB_FORGET) that deletes it if no tag needs it.
 */
int derived_look_later(struct txn *t, uint64_t repo, const struct digest *old, uint64_t now,
                       struct err *err);

#endif
