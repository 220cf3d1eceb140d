#pragma once

#include <stdint.h>
#include "util/bytes.h"

/* FNV-1a with 64 bits (RFC 9923): a fast hash for tables in memory. Who knows the start can make
 * values collide: it is random where strangers choose the values and a table must not suffer. */

#define FNV_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t
fnv_hash(uint64_t start, struct bytes b)
{
    const uint8_t *p = b.p;
    uint64_t hash = start;

    for (size_t i = 0; i < b.n; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}
