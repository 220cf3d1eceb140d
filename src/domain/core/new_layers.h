#pragma once

#include <stddef.h>
#include "domain/access/access.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"

/* The layers that an image brings to the store: nothing kept them before. */
struct new_layer {
    struct digest chain; /* its chain id (chain_id.h) */
    struct digest blob;
};

struct new_layers {
    struct new_layer *v; /* lowest first, each blob once, in the arena */
    size_t n;
};

/* Before the transaction: the layers that nothing keeps now, so that the transaction looks at few.
 * chain: the chain ids of all layers, lowest first; NULL when m is no image, or its config doesn't
 * tell them: then no layer is new. */
int new_layers_find(const struct registry *reg, const struct manifest *m,
                    const struct digest *chain, struct arena *arena, struct new_layers *out,
                    struct err *err);

/* In the transaction, after the edges of the manifest `from` were put: tells EVENT_LAYER, made of
 * e, for each layer that nothing else keeps by now. Another push may have brought the same layer.
 */
int new_layers_tell(struct txn *t, const struct new_layers *layers, uint64_t repo,
                    const struct digest *from, const struct actor *actor, const struct rec_event *e,
                    struct err *err);
