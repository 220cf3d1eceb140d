#pragma once

#include <stddef.h>
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The chain ids of an image's layers. A chain id names a layer together with all layers below it
 * (OCI image-spec config.md, "Layer ChainID"). It is computed from the diff ids in the image's
 * config, which are the client's claim: they were not compared with the layers. */

/* The largest config in bytes, and the most layers, of an image with chain ids. (docker's limit is
 * 127 layers.) It has at most CONFIG_VALUES_MAX values, too (domain/core/config.h). */
#define CHAIN_ID_CONFIG_MAX (1u << 20)
#define CHAIN_ID_LAYERS_MAX 256

/* Replaces *chain, the chain id of the layer below (DIGEST_NONE: there is none), by that of the
 * layer with this diff id. */
void chain_id_next(struct digest *chain, const struct digest *diff);

/* Computes the chain ids from a config; lowest layer first, in the arena. 1; 0: this is not the
 * config of an image with diff ids (sha256) for exactly n layers; -1: the arena is full. The list
 * may be missing if n is 0, as docker leaves it out. */
int chain_id_parse(struct bytes config, size_t n, struct arena *arena, struct digest **chain,
                   struct err *err);

/* The same for a config in the store. 0 also when it is missing or damaged. Reads a file, so it
 * must not be called in a transaction. */
int chain_id_read(const struct registry *reg, const struct digest *config, size_t n,
                  struct arena *arena, struct digest **chain, struct err *err);
