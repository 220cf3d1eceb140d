#pragma once

#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Deletes tags and manifests (blob.h deletes blobs). A blob or a foreign image that loses its last
 * keeper gets a lease, and is collected when that is over. If the document of a deleted manifest is
 * damaged, its edges aren't known: they stay until fsck --repair, and the manifest can't come back.
 */

/* Deletes the tag. Its target stays, except for a derived manifest that has no other tag
 * (derived.h). ERR_NO_REPOSITORY, ERR_NO_MANIFEST; ERR_CONDITION (NULL: no condition). */
int delete_tag(const struct registry *reg, const char *repository, const char *tag,
               const struct condition *condition, const struct actor *actor, struct arena *arena,
               struct err *err);

/* The same, if the tag still names the target that it had in *seen, and wasn't pushed since; else
 * ERR_CONDITION. */
int delete_tag_seen(const struct registry *reg, const char *repository, const char *tag,
                    const struct rec_tag *seen, const struct actor *actor, struct arena *arena,
                    struct err *err);

/* Deletes the manifest, and all tags of the repository that name it. Fails like delete_tag. */
int delete_manifest(const struct registry *reg, const char *repository, const struct digest *d,
                    const struct condition *condition, const struct actor *actor,
                    struct arena *arena, struct err *err);

/* Deletes a derived manifest (derived.h) without an event, if no tag or index of the repository
 * (its id) needs it any more. Called by the keeper for JOB_FORGET. */
int delete_derived(const struct registry *reg, uint64_t repo, const struct digest *d,
                   struct err *err);

/* Deletes a manifest that nothing reaches (reach.h), if it was pushed, and its last tag left it,
 * not after that time. The event of its deletion has no actor. 1; 0: it isn't there, or stays; -1.
 */
int delete_unreached(const struct registry *reg, const char *repository, uint64_t repo,
                     const struct digest *d, uint64_t before, const char *by, struct err *err);
