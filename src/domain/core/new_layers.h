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

/* Writes EVENT_LAYER, made of e, for each of them that nothing but manifest `from` keeps now;
 * another push may have brought the same layer. In the transaction, after the edges of `from` were
 * put. */
int new_layers_tell(struct txn *t, const struct new_layers *layers, uint64_t repo,
                    const struct digest *from, const struct actor *actor, const struct rec_event *e,
                    struct err *err);
