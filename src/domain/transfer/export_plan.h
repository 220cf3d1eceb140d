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

/* What belongs to an export: the tags and manifests that were asked for, and all that they need or
 * that is attached to them. Each tag is resolved once. It is read piece by piece, without a
 * transaction, and holds nothing: what is deleted meanwhile is missed when it is written. */

/* Manifests and blobs. Each costs 120 bytes of memory. */
#define EXPORT_PLAN_MAX 1000000

#define EXPORT_PLAN_BLOB UINT32_MAX

/* Something that becomes a file below blobs/. */
struct export_item {
    struct digest digest;
    uint64_t size;
    const char *media_type; /* of a manifest */
    uint32_t repository;    /* whose manifest it is, as an index; or EXPORT_PLAN_BLOB */
    bool named;             /* by a tag, or by an index that is in here too */
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
    uint32_t *places; /* a hash table: indexes of items, + 1 */
    size_t places_n;
    struct export_tag *tags;
    size_t tags_n, tags_room;
    size_t absent; /* parts of indexes that aren't here any more */
};

void export_plan_begin(struct export_plan *p, const struct registry *reg);
void export_plan_end(struct export_plan *p);

/* One tag or manifest of a repository, or (NULL) all of its tags. Errors as pull_manifest has them,
 * and ERR_TOO_MANY when there is more than p->max. */
int export_plan_add(struct export_plan *p, const char *repository,
                    const struct reference *reference, struct err *err);

/* All that belongs to what was added: configs, layers, the manifests of indexes as far as they are
 * here; and what is attached to any of the manifests, by its `subject` or by a tag of the digest's
 * name (<algorithm>-<hex>, also with .sig, .att, .sbom). ERR_NO_BLOB: something is missing.
 * is_over: asked now and then; then it is -1 and ERR_BUSY. */
int export_plan_complete(struct export_plan *p, bool (*is_over)(void *arg), void *arg,
                         struct err *err);

/* Puts tags and items into the order of names and digests, whatever the order in which they were
 * added, and takes away tags that are there twice. The last step: nothing is added behind it. One
 * digest may be there several times, in a row: of several repositories, and as a blob. */
void export_plan_sort(struct export_plan *p);

/* Is there anything of that digest? After export_plan_sort. */
bool export_plan_has(const struct export_plan *p, const struct digest *d);
