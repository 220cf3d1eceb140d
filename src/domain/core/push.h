#pragma once

#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

#define PUSH_TAGS_MAX 16

/* A manifest on its way into a repository. Names and tags are checked by the caller. */
struct push {
    const char *repository;
    const char *const *tags; /* to be moved to it, sorted, each once; none for a push by digest */
    size_t tags_n;
    struct bytes document;
    const char *content_type; /* without parameters; "" when there is none */
    const struct actor *actor;
    bool as_is; /* another registry has taken the document: manifest_check isn't asked */
    /* NULL: none. On the tag, or, if the client named the digest, on the manifest. */
    const struct condition *condition;
    struct manifest manifest; /* parsed by push_manifest */
    struct digest digest;     /* given when the client named it, else (DIGEST_NONE) computed */
};

/* Stores the document, says who it keeps, moves the tags and writes the events, in one transaction.
 * ERR_MISSING_PARTS names in err->about all that the repository doesn't have. */
int push_manifest(const struct registry *reg, struct push *p, struct arena *arena, struct err *err);
