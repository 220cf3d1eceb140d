#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"

/* A Bloom filter of the names in a layer, which its index has in pieces. A look-up reads one piece.
 * Of the names that aren't there it takes about one in a hundred for there. All of this is part of
 * the stored format. */

#define LAYER_NAMES_PIECE 1280 /* bytes of a piece, for LAYER_NAMES_OF_PIECE names */
#define LAYER_NAMES_OF_PIECE 1024u
#define LAYER_NAMES_PIECES_MAX 4096u

uint64_t layer_names_hash(struct bytes name);

/* The number of pieces that this number of names needs. */
uint32_t layer_names_pieces(size_t names);
/* The piece that a hash belongs to. */
uint32_t layer_names_piece(uint64_t hash, uint32_t pieces);

void layer_names_add(uint8_t piece[LAYER_NAMES_PIECE], uint64_t hash);
bool layer_names_may_have(const uint8_t piece[LAYER_NAMES_PIECE], uint64_t hash);
