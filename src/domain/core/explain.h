#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/manifest.h"
#include "domain/core/reach.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"
#include "util/digest.h"
#include "util/err.h"

/* Explains a digest: the blob, image or manifests that have it, and the edges that keep them. Of
 * the edges of each kind, the first ones are listed and all are counted, so the facts of a layer in
 * ten thousand images are bounded. */

#define EXPLAIN_FIRST 10
#define EXPLAIN_KINDS 32 /* more than the largest edge_kind */

struct explain_edge {
    struct edge edge;
    char repository[RECORD_REPOSITORY_MAX + 1]; /* "": edge.repo is 0, or the repository is gone */
    char tag[RECORD_TAG_MAX + 1];
    uint64_t until; /* an edge for undo keeps it at least until then; 0: another edge */
};

/* A repository that has the manifest. */
struct explain_manifest {
    char repository[RECORD_REPOSITORY_MAX + 1];
    struct rec_manifest record;
    struct reach reach; /* what reaches it; REACH_NONE: nothing */
};

struct explain {
    struct digest digest;

    bool is_blob;
    struct rec_blob blob;
    bool is_image; /* of the first API; DIGEST_V1_ID */
    struct rec_image image;
    bool is_config; /* the first manifest that keeps it has it as its config */

    uint64_t trashed_size; /* of a deleted manifest that can come back (trash.h), or 0 */
    struct explain_manifest manifests[EXPLAIN_FIRST];
    size_t manifests_n;
    struct explain_edge edges[EXPLAIN_KINDS][EXPLAIN_FIRST];
    size_t edges_n[EXPLAIN_KINDS];
    uint64_t counts[EXPLAIN_KINDS];
};

/* Does any edge keep it? */
bool explain_is_kept(const struct explain *x);

/* Fills *out, which is large. 1; 0: the store doesn't have it; -1. */
int explain_digest(const struct registry *reg, const struct digest *d, struct explain *out,
                   struct err *err);
