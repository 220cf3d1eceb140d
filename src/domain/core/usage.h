#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* The bytes of images and repositories: those of manifests, configs and layers, each counted once.
 * `own` are those of them that nothing else keeps, neither another tag nor another repository. They
 * are freed when all that is counted is deleted, and the leases of its blobs are over. */
struct usage {
    uint64_t manifests;
    uint64_t blobs;
    uint64_t bytes;
    uint64_t own;
    /* Of a whole repository: deleted manifests that tags can be put back to (trash.h), and the
     * bytes that only they keep. They are not among the numbers above. */
    uint64_t trashed;
    uint64_t trashed_bytes;
};

/* Manifests and blobs of one tag that are counted; an index may lead to many. */
#define USAGE_PARTS_MAX 100000

/* Counts the target of a tag: a manifest with all its parts, or an image of the first API.
 * Referrers that only this image keeps are counted, too. Nothing is own if something else reaches
 * the manifest. */
int usage_of_tag(const struct registry *reg, uint64_t repo, const char *tag,
                 const struct digest *target, struct usage *out, struct err *err);

/* The same for a manifest without a tag. */
int usage_of_manifest(const struct registry *reg, uint64_t repo, const struct digest *d,
                      struct usage *out, struct err *err);

/* Counts all that the repository has. is_over is called now and then; true ends the count. */
int usage_of_repository(const struct registry *reg, uint64_t repo, bool (*is_over)(void *arg),
                        void *arg, struct usage *out, struct err *err);
