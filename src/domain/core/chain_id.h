#pragma once

#include <stddef.h>
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The chain ids of an image's layers: each names a layer together with all layers below it (OCI
 * image-spec config.md, "Layer ChainID"). They are computed from the diff ids in the image's
 * config, which the client has written: nobody has compared it with the layers. */

/* Bytes of a config, and layers of an image: beyond that there are no chain ids. docker itself
 * stops at 127 layers. */
#define CHAIN_ID_CONFIG_MAX (1u << 20)
#define CHAIN_ID_LAYERS_MAX 256

/* The chain id of a layer with that diff id. chain: that of the layer below it, DIGEST_NONE for the
 * lowest layer; it is replaced. */
void chain_id_next(struct digest *chain, const struct digest *diff);

/* From the bytes of a config; lowest layer first, in the arena. 1; 0: they aren't the config of an
 * image with diff ids (sha256) for exactly n layers; -1: the arena is full. */
int chain_id_parse(struct bytes config, size_t n, struct arena *arena, struct digest **chain,
                   struct err *err);

/* The same for a config in the store; 0 also when it isn't there, or damaged. Reads a file: not in
 * a transaction. */
int chain_id_read(const struct registry *reg, const struct digest *config, size_t n,
                  struct arena *arena, struct digest **chain, struct err *err);
