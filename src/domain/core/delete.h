#ifndef DOMAIN_CORE_DELETE_H
#define DOMAIN_CORE_DELETE_H

#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Deleting tags and manifests (blobs: blob.h). What loses its last keeper thereby gets a lease, and
 * is collected when that is over. */

/* The tag alone, of a manifest or a v1 image; what it named stays, but for a manifest that was made
 * of a v1 image and has no other tag. ERR_NO_REPOSITORY, ERR_NO_MANIFEST. */
int delete_tag(const struct registry *reg, const char *repository, const char *tag,
               const struct actor *actor, struct arena *arena, struct err *err);

/* The manifest, and all tags of the repository that name it. ERR_NO_REPOSITORY, ERR_NO_MANIFEST. */
int delete_manifest(const struct registry *reg, const char *repository, const struct digest *d,
                    const struct actor *actor, struct arena *arena, struct err *err);

/* Deletes a derived manifest (derived.h) without an event, if no tag or index of the repository
 * (its id) needs it any more. Called by the keeper for JOB_FORGET. */
int delete_derived(const struct registry *reg, uint64_t repo, const struct digest *d,
                   struct err *err);

/* All tags of the repository, each for itself. *n: so many it was; 0 also without a repository. */
int delete_all_tags(const struct registry *reg, const char *repository, const struct actor *actor,
                    size_t *n, struct err *err);

#endif
