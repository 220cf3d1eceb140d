#pragma once

#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

#define PUSH_TAGS_MAX 16

/* A push of one manifest. The caller has checked the names of repository and tags. */
struct push {
    const char *repository;
    const char *const
        *tags; /* move to the manifest; sorted, each once; none for a push by digest */
    size_t tags_n;
    struct bytes document;
    const char *content_type; /* without parameters; "" when there is none */
    const struct actor *actor;
    bool as_is; /* another registry has accepted the document: manifest_check isn't called */
    const struct rec_manifest *former; /* the manifest is put back as it is, or as it was before it
                                        * went into the trash; NULL: it is pushed */
    const struct condition *condition; /* on the manifest; NULL: none */
    const struct condition *tag_condition; /* on each of the tags; NULL: none */
    struct manifest manifest;              /* parsed by push_manifest */
    struct digest digest; /* the client's; DIGEST_NONE: push_manifest computes it */
};

/* Stores the document and the edges that keep its parts, moves the tags and writes the events, in
 * one transaction. ERR_NO_MANIFEST: `former` is in the trash no longer. ERR_MISSING_PARTS:
 * err->about names all parts that the repository lacks. */
int push_manifest(const struct registry *reg, struct push *p, struct arena *arena, struct err *err);
