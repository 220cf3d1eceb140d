#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/platform.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Facts for lists that the record of a manifest doesn't have: the bytes that a client would pull,
 * and the platforms. They are read from documents, so the callers share a bound. */

struct image_facts_bound {
    unsigned documents; /* that may still be read */
    size_t bytes;       /* of them */
};
/* For one page of a list. */
extern const struct image_facts_bound image_facts_page;

/* Platforms of an index that are listed; others are left out. */
#define IMAGE_FACTS_PLATFORMS 64

struct image_facts {
    bool has_record; /* false: the repository doesn't have the manifest; nothing below is known */
    struct rec_manifest record;
    bool known; /* false: the bound is reached, or the document is no manifest any more */
    /* Bytes of config and layers as the manifest says; of an index, those of its images that are
     * here. */
    uint64_t size;
    struct image_facts_platform {
        struct platform platform;
        struct digest digest; /* of the image's manifest */
        bool here;            /* false: the repository doesn't have it, and its size is unknown */
        uint64_t size;
    } platforms[IMAGE_FACTS_PLATFORMS];
    size_t platforms_n;
};

/* Reads files, so it must not be called in a transaction. 0, or -1. */
int image_facts_read(const struct registry *reg, uint64_t repo, const struct digest *d,
                     struct image_facts_bound *left, struct image_facts *out, struct err *err);
