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

struct actor;
struct condition;
struct garbage_round;
struct judged_id;
struct manifest;
struct platform;

/* Images that are not manifests. A tag can name such an image: its target is then an id
 * (DIGEST_V1_ID). domain/core stores these tags, and edges from and to ids; everything else is done
 * by the functions of this interface, to which struct registry points. domain/v1 implements it for
 * the images of the first API (domain/v1/image_foreign.h). */

/* An image as a chain, one image for each layer, the image itself first; in the arena. */
struct foreign_layers {
    size_t n;
    struct digest *ids;
    struct digest *layers; /* the blobs */
};

struct foreign_images {
    /* ---- for transactions of domain/core ---- */

    /* Gives the image a lease, as lease_blob does for a blob. Called at table image, in a
     * transaction that removes what kept the image: a tag, or a manifest made of it. The caller
     * adds the job (lease_look_at). 0 also when there is no such image. */
    int (*lease)(struct txn *t, const struct registry *reg, const struct digest *id, uint64_t now,
                 struct err *err);

    /* Called for due jobs JOB_COLLECT of ids: deletes the images whose lease is over and that
     * nothing keeps, and ends or postpones the jobs. Not in a transaction. */
    int (*collect)(const struct registry *reg, const struct job *jobs, size_t n, struct err *err);

    /* Does the part of a manual round (garbage_round.h) that concerns these images. */
    int (*collect_round)(struct garbage_round *round, struct err *err);

    /* ---- about manifests ---- */

    /* The ids that lead to a manifest besides its digest d, its own id first (manifest_ids.h), in
     * the arena. chain: the n chain ids of its layers; n is 0 if its config has no diff ids. */
    int (*ids_of_manifest)(const struct manifest *m, const struct digest *d,
                           const struct digest *chain, size_t n, struct arena *arena,
                           struct digest **ids, size_t *ids_n, struct err *err);

    /* Called when all layers of the image are indexed: compares its config with them. *ids: the ids
     * of which more is known now, in the arena. Reads files: not in a transaction. 0, also when
     * there is no such image; -1. */
    int (*judge_ids)(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                     struct arena *arena, struct judged_id **ids, size_t *ids_n, struct err *err);

    /* Called when a client asks for the manifest of a tag that names this image. Returns -1 and
     * ERR_NOT_CONVERTED (there will be one) or ERR_UNCONVERTIBLE. */
    int (*refuse_manifest)(struct txn *t, const char *tag, const struct digest *id,
                           struct err *err);

    /* Points a tag of the repository to the image, or to the manifest that is made of it there, as
     * if a client had pushed the tag. condition: on the tag. ERR_NO_IMAGE. */
    int (*put_tag)(const struct registry *reg, const char *repository, const char *tag,
                   const struct digest *id, const struct condition *condition,
                   const struct actor *actor, struct arena *arena, struct err *err);

    /* ---- for looking inside ---- */

    /* The layers of a foreign image. 1; 0: it is missing or incomplete; -1; ERR_NO_IMAGE: one of
     * its ancestors is incomplete. */
    int (*layers)(const struct registry *reg, const struct digest *id, struct arena *arena,
                  struct foreign_layers *out, struct err *err);

    /* The layers of the image that an id leads to: a foreign image, or else the image of a
     * manifest, for that platform (NULL: any). actor: only images that the actor may read; NULL:
     * all. Reads files: not in a transaction. 0, or -1: ERR_NO_IMAGE. */
    int (*layers_by_id)(const struct registry *reg, const struct actor *actor,
                        const struct digest *id, const struct platform *platform,
                        struct arena *arena, struct foreign_layers *out, struct err *err);

    /* The JSON that describes the image, in the arena. 0, or -1: ERR_NO_IMAGE. */
    int (*json)(const struct registry *reg, const struct digest *id, struct arena *arena,
                struct bytes *json, struct err *err);
};
