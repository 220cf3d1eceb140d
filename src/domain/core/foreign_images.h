#pragma once

#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_job.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

struct judged_id;
struct manifest;
struct platform;

/* Images that are not manifests. A tag may name one: its target is then an id (DIGEST_V1_ID).
 * domain/core keeps such tags, and edges from and to ids, and knows nothing else about these
 * images. The room that knows them implements this interface, and struct registry points to it:
 * today domain/v1, the images of the first API (domain/v1/image_foreign.h). */

/* An image as a chain, one image for each layer, the image itself first; in the arena. */
struct foreign_layers {
    size_t n;
    struct digest *ids;
    struct digest *layers; /* the blobs */
};

struct foreign_images {
    /* ---- for transactions of domain/core ---- */

    /* Called in a transaction that removes a keeper of the image (a tag, or a manifest that was
     * made of it), at table image: gives the image a lease, as lease_blob gives one to a blob. The
     * caller puts the job, by lease_look_at. 0 also when the image isn't there. */
    int (*lease)(struct txn *t, const struct registry *reg, const struct digest *id, uint64_t now,
                 struct err *err);

    /* The job JOB_COLLECT of an id is due: deletes the image if nothing keeps it and its lease is
     * over, and ends the job or puts it off. Not in a transaction. */
    int (*collect)(const struct registry *reg, const struct job *job, struct err *err);

    /* ---- about manifests ---- */

    /* The ids by which a manifest of that digest is found as well, its own first (manifest_ids.h).
     * chain: the n chain ids of its layers; n is 0 when its config doesn't tell them. *ids in the
     * arena. */
    int (*ids_of_manifest)(const struct manifest *m, const struct digest *d,
                           const struct digest *chain, size_t n, struct arena *arena,
                           struct digest **ids, size_t *ids_n, struct err *err);

    /* All layers of the image have been looked into: compares its config with them. Writes what is
     * known now of its ids; those of which nothing new is known are left out. In the arena. Reads
     * files: not in a transaction. 0, also when there is no such image; -1. */
    int (*judge_ids)(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                     struct arena *arena, struct judged_id **ids, size_t *ids_n, struct err *err);

    /* Somebody wants the manifest of a tag that names this image: returns -1, with
     * ERR_NOT_CONVERTED when there will be one, or ERR_UNCONVERTIBLE. */
    int (*refuse_manifest)(struct txn *t, const char *tag, const struct digest *id,
                           struct err *err);

    /* ---- for looking inside ---- */

    /* The layers of an image that was pushed as a foreign one. 1; 0: it isn't there, or incomplete;
     * -1: ERR_NO_IMAGE when one of its ancestors isn't complete. */
    int (*layers)(const struct registry *reg, const struct digest *id, struct arena *arena,
                  struct foreign_layers *out, struct err *err);

    /* The layers of whatever that id leads to: such an image, or else the image of a manifest, of
     * that platform (NULL: any). Reads files: not in a transaction. 0, or -1: ERR_NO_IMAGE. */
    int (*layers_by_id)(const struct registry *reg, const struct digest *id,
                        const struct platform *platform, struct arena *arena,
                        struct foreign_layers *out, struct err *err);

    /* The document that describes the image, as JSON in the arena. 0, or -1: ERR_NO_IMAGE. */
    int (*json)(const struct registry *reg, const struct digest *id, struct arena *arena,
                struct bytes *json, struct err *err);
};
