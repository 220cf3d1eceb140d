#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/pull.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* The contents of an export: the requested tags and manifests, all that they need, and all that is
 * attached to them. Each tag is resolved once. The plan is read without a transaction and holds no
 * lease, so writing it fails if something is deleted meanwhile. */

/* Manifests and blobs. Each costs 120 bytes of memory. */
#define EXPORT_PLAN_MAX 1000000

#define EXPORT_PLAN_BLOB UINT32_MAX

/* Something that becomes a file below blobs/. */
struct export_item {
    struct digest digest;
    uint64_t size;
    const char *media_type; /* of a manifest */
    uint32_t repository;    /* index of the manifest's repository; or EXPORT_PLAN_BLOB */
    bool named;             /* by a tag, or by an index in the plan */
};

struct export_tag {
    const char *tag;
    uint32_t repository;
    struct digest digest;
    uint64_t size;
    const char *media_type;
};

struct export_plan {
    const struct registry *reg;
    size_t max;
    struct arena arena; /* the texts; freed with the plan */
    struct {
        const char *name;
        uint64_t id;
    } * repositories;
    size_t repositories_n, repositories_room;
    struct export_item *items;
    size_t n, room;
    uint32_t *places; /* a hash table: index in `items`, plus 1 */
    size_t places_n;
    struct export_tag *tags;
    size_t tags_n, tags_room;
    size_t absent; /* images named by indexes but missing in the store */
};

void export_plan_begin(struct export_plan *p, const struct registry *reg);
void export_plan_end(struct export_plan *p);

/* Adds one tag or manifest of a repository, or (NULL) all of its tags. Errors: those of
 * pull_manifest, and ERR_TOO_MANY above p->max. */
int export_plan_add(struct export_plan *p, const char *repository,
                    const struct reference *reference, struct err *err);

/* Adds all that belongs to the plan's manifests: configs, layers, the images of indexes that the
 * store has, and what is attached by `subject` or by a tag of the form <algorithm>-<hex>, also with
 * .sig, .att or .sbom. ERR_NO_BLOB: something is missing. ERR_BUSY: is_over, which is called now
 * and then, returned true. */
int export_plan_complete(struct export_plan *p, bool (*is_over)(void *arg), void *arg,
                         struct err *err);

/* Sorts tags by name and items by digest, and removes duplicate tags. This is the last step;
 * nothing may be added afterwards. Items with the same digest may follow each other: manifests of
 * several repositories, and a blob. */
void export_plan_sort(struct export_plan *p);

/* True if the sorted plan has an item with that digest. */
bool export_plan_has(const struct export_plan *p, const struct digest *d);
