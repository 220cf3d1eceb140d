#pragma once

#include <stddef.h>
#include "domain/access/access.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"

/* The layers of a pushed image that are new: nothing kept them before. */
struct new_layer {
    struct digest chain; /* its chain id (chain_id.h) */
    struct digest blob;
    bool is_kept; /* by now; another push has brought the same layer */
};

struct new_layers {
    struct new_layer *v; /* lowest first, each blob once, in the arena */
    size_t n;
};

/* Finds the layers that nothing keeps now. Called before the transaction, which then has to look at
 * these only. chain: the chain ids of all layers, lowest first; NULL (m is not an image, or its
 * config has no diff ids): no layer is found. */
int new_layers_find(const struct registry *reg, const struct manifest *m,
                    const struct digest *chain, struct arena *arena, struct new_layers *out,
                    struct err *err);

/* In the transaction, before the manifest's edges are put: looks whether anything keeps them now.
 */
int new_layers_look(struct txn *t, struct new_layers *layers, struct err *err);

/* Writes EVENT_LAYER, made of e, for each of them that nothing kept. */
int new_layers_tell(struct txn *t, const struct new_layers *layers, const struct actor *actor,
                    const struct rec_event *e, struct err *err);
