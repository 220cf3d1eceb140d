#ifndef DOMAIN_CORE_NEW_LAYERS_H
#define DOMAIN_CORE_NEW_LAYERS_H

#include <stddef.h>
#include "domain/access/access.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"

/* The layers that come to the store with an image: those that nothing kept before. */
struct new_layer {
    struct digest chain; /* its chain id, see chain.h */
    struct digest blob;
};

struct new_layers {
    struct new_layer *v; /* lowest first, each blob once, in the arena */
    size_t n;
};

/* Before the transaction, so that it asks about few layers: those that nothing keeps now. chain:
 * the chain ids of all, lowest first; NULL for what is no image, and for an image whose config
 * doesn't tell: then there are none, and that is no error. */
int new_layers_find(const struct registry *reg, const struct manifest *m,
                    const struct digest *chain, struct arena *arena, struct new_layers *out,
                    struct err *err);

/* In the transaction, after the edges of the manifest `from` were put: an event EVENT_LAYER for
 * each that nothing else keeps even now (two images may come at once), made of e. */
int new_layers_tell(struct txn *t, const struct new_layers *layers, uint64_t repo,
                    const struct digest *from, const struct actor *actor, const struct rec_event *e,
                    struct err *err);

#endif
