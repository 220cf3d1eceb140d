#pragma once

#include <stddef.h>
#include <stdint.h>
#include "domain/core/foreign_images.h"
#include "domain/v1/image_view.h"

/* What a config says of its layers is only what its pusher has written. The indexes of the layers
 * tell what they really are. */

enum proof {                /* in the order of trust */
             PROOF_WRONG,   /* they are others than the config says */
             PROOF_UNSURE,  /* one isn't in the store, or can't be read to its end */
             PROOF_MISSING, /* the index of one is still to be made */
             PROOF_RIGHT,
};

/* Compares the layers of the view with the id of its first image. *missing: with PROOF_MISSING, the
 * layer whose index is to be made. */
enum proof image_proof_of_view(const struct registry *reg, const struct image_view *v,
                               struct digest *missing);

/* Fills judge_ids of struct foreign_images. */
int image_proof_judge(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                      struct arena *arena, struct judged_id **ids, size_t *ids_n, struct err *err);
