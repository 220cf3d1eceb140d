#include "storage/layers/layer_names.h"
#include "util/fnv.h"

#define BITS_OF_NAME 7
#define BITS_OF_PIECE (LAYER_NAMES_PIECE * 8u)

static uint64_t
mix_name_bits(uint64_t h)
{
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

uint64_t
layer_names_hash(struct bytes name)
{
    return mix_name_bits(fnv_hash(FNV_START, name));
}

uint32_t
layer_names_pieces(size_t names)
{
    size_t n = (names + LAYER_NAMES_OF_PIECE - 1) / LAYER_NAMES_OF_PIECE;

    return n < LAYER_NAMES_PIECES_MAX ? (uint32_t)n : LAYER_NAMES_PIECES_MAX;
}

uint32_t
layer_names_piece(uint64_t hash, uint32_t pieces)
{
    return pieces > 0 ? (uint32_t)((hash >> 32) % pieces) : 0;
}

/* The place of bit i of a name. */
static uint32_t
place_of_bit(uint64_t hash, unsigned i)
{
    uint64_t h = mix_name_bits(hash);
    uint32_t a = (uint32_t)h, b = (uint32_t)(h >> 32) | 1;

    return (a + i * b) % BITS_OF_PIECE;
}

void
layer_names_add(uint8_t piece[LAYER_NAMES_PIECE], uint64_t hash)
{
    for (unsigned i = 0; i < BITS_OF_NAME; i++) {
        uint32_t at = place_of_bit(hash, i);

        piece[at / 8] |= (uint8_t)(1u << at % 8);
    }
}

bool
layer_names_may_have(const uint8_t piece[LAYER_NAMES_PIECE], uint64_t hash)
{
    for (unsigned i = 0; i < BITS_OF_NAME; i++) {
        uint32_t at = place_of_bit(hash, i);

        if ((piece[at / 8] >> at % 8 & 1) == 0)
            return false;
    }
    return true;
}
