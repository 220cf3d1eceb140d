#ifndef DOMAIN_CORE_CHAIN_ID_H
#define DOMAIN_CORE_CHAIN_ID_H

#include <stddef.h>
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The chain ids of an image's layers: what an unpacked layer is called together with all below it
 * (OCI image-spec config.md, "Layer ChainID"). They come from the diff ids in the image's config,
 * which is a document of the client's: nobody has compared it with the layers. */

/* Larger configs, and images of more layers, have none: docker itself stops at 127 layers. */
#define CHAIN_ID_CONFIG_MAX (1u << 20)
#define CHAIN_ID_LAYERS_MAX 256

/* Of the config with these bytes, lowest layer first, in the arena. 1; 0 when it isn't an image's
 * config with diff ids (sha256) for exactly n layers; -1: the arena is full. */
int chain_id_parse(struct bytes config, size_t n, struct arena *arena, struct digest **chain,
                   struct err *err);

/* The same of the config that has this digest; 0 also when it isn't in the store. Reads a file: not
 * in a transaction. */
int chain_id_read(const struct registry *reg, const struct digest *config, size_t n,
                  struct arena *arena, struct digest **chain, struct err *err);

#endif
