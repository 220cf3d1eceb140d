#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/digest.h"

/* A set of (number, digest) in memory: what a dry run would delete, or what was counted already.
 * All zero at first. It keeps 16 bytes of each member, so a foreign digest is taken for a member
 * once in 2^64. The number is a repository, or 0. */
struct gone_set {
    struct gone_set_slot *v;
    size_t n, room;
};

/* With this many members the set is full: 64 MiB. */
#define GONE_SET_MAX (UINT32_C(1) << 21)

/* False if it was there before, or if the set is full. */
bool gone_set_add(struct gone_set *s, uint64_t number, const struct digest *d);
bool gone_set_has(const struct gone_set *s, uint64_t number, const struct digest *d);
void gone_set_free(struct gone_set *s);
