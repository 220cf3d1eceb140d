#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/access_name.h"
#include "util/bytes.h"
#include "util/err.h"

/* The patterns of access rules. Wildcards are those of util/glob.h: ? is a byte of a component, *
 * any number of them, and ** also takes slashes. As a whole component in front of a slash, ** may
 * also stand for no component. {user} is the name of the user who asks. All other bytes must be
 * allowed in the name of a repository.
 *
 * A registry may have thousands of rules, so a compiled pattern is a few bytes. The slow part is
 * done once for each name: access_name_set finds the places of each byte. A pattern then takes one
 * step for each of its own bytes, however long the name is. */

#define ACCESS_PATTERN_MAX 255

/* An element of a compiled pattern is a symbol or one of these. */
enum access_element {
    ACCESS_ANY = 64,    /* ? */
    ACCESS_PART,        /* * */
    ACCESS_PATH,        /* ** */
    ACCESS_DIRECTORIES, /* **, as a component, and the slash behind it */
    ACCESS_USER,        /* {user} */
};

struct access_pattern {
    uint8_t v[ACCESS_PATTERN_MAX];
    size_t n;
    bool has_user; /* contains {user} */
};

/* Returns 0, or -1 and ERR_BAD_REQUEST with the pattern in the message. */
int access_pattern_compile(struct access_pattern *p, struct bytes text, struct err *err);

/* v: n elements of a compiled pattern. user: what {user} stands for. A name that can't be a whole
 * component, because it is empty or has a slash, matches no pattern with {user}. */
bool access_pattern_match(const uint8_t *v, size_t n, const struct access_name *name,
                          struct bytes user);

/* Writes the beginning of all names that the pattern matches: the pattern up to its first wildcard.
 * *whole: there is no wildcard, and this is the only name. False: it matches no name at all. */
bool access_pattern_start(const uint8_t *v, size_t n, struct bytes user,
                          char out[RECORD_REPOSITORY_MAX + 1], bool *whole);

/* The slots of all triples of a pattern, a slash in front of it and one behind it included; one may
 * occur twice. Returns their number. 0: the pattern has no triple. */
size_t access_pattern_slots(const uint8_t *v, size_t n, unsigned bits,
                            uint32_t slots[ACCESS_NAME_SLOTS_MAX]);
