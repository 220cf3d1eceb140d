#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/foreign_images.h"
#include "domain/v1/image_view.h"

/* Compares a config, whose diff ids are only its pusher's claim, with the indexes of the layers,
 * which have the real diff ids. */

/* In the order of trust. */
enum proof {
    PROOF_WRONG,   /* the layers are others than the config says */
    PROOF_ABSENT,  /* the repository doesn't have a layer */
    PROOF_UNSURE,  /* a layer can't be read to its end, or not by clients of the first API */
    PROOF_MISSING, /* the index of a layer isn't made yet */
    PROOF_RIGHT,
};

/* Compares the layers of the view with the id of its first image. *missing: for PROOF_MISSING, the
 * layer without an index. 0 or -1. */
int image_proof_of_view(const struct registry *reg, const struct image_view *v, enum proof *proof,
                        struct digest *missing, struct err *err);

/* Does the repository have the layer of the view's first image? 1, 0, -1. */
int image_proof_has_layer(const struct registry *reg, const struct image_view *v, struct err *err);

/* Fills judge_ids of struct foreign_images. */
int image_proof_judge(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                      struct arena *arena, struct judged_id **ids, size_t *ids_n, struct err *err);
