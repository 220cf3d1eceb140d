#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "storage/tables/record.h"

/* The name of a repository, prepared to be held against many patterns (access_pattern.h). */

/* The bytes of such names, as numbers. */
#define ACCESS_NAME_SYMBOLS 40
#define ACCESS_NAME_OTHER ACCESS_NAME_SYMBOLS /* a byte that no repository has in its name */
#define ACCESS_NAME_SLASH 39

uint8_t access_name_symbol(char c);

#define ACCESS_NAME_WORDS ((RECORD_REPOSITORY_MAX + 1 + 63) / 64)

/* A set of places between the bytes of the name: place i is in front of byte i. */
struct access_places {
    uint64_t word[ACCESS_NAME_WORDS];
};

struct access_name {
    struct access_places at[ACCESS_NAME_SYMBOLS]; /* the places in front of each symbol */
    struct access_places parts;                   /* the places in front of all but slashes */
    uint8_t symbol[RECORD_REPOSITORY_MAX + 2];    /* the name, with a slash before and behind it */
    size_t n;                                     /* bytes of the name */
    size_t words;                                 /* that have places of this name */
};

/* False: the text is longer than a name can be, and so no pattern matches it. */
bool access_name_set(struct access_name *name, const char *repository);

/* ---- an index of patterns ----
 *
 * Most patterns contain three bytes in a row that are no wildcards, and match only names with the
 * same three. Each such triple belongs to one of 2^bits slots. */

#define ACCESS_NAME_SLOTS_MAX (RECORD_REPOSITORY_MAX + 2)
#define ACCESS_NAME_SLOT_BITS_MAX 15

/* The slot of three symbols. bits: 1 to ACCESS_NAME_SLOT_BITS_MAX. */
uint32_t access_name_slot(const uint8_t symbols[3], unsigned bits);
/* The slots of all triples in the name; one may occur twice. Returns their number. */
size_t access_name_slots(const struct access_name *name, unsigned bits,
                         uint32_t slots[ACCESS_NAME_SLOTS_MAX]);
