#ifndef STORAGE_TABLES_KEY_H
#define STORAGE_TABLES_KEY_H

#include <stdint.h>
#include "util/bytes.h"
#include "util/digest.h"

/* Keys of the tables, put together from parts of fixed width, with at most one text, at the end or
 * closed by a NUL; so they sort by their parts. Without allocation: the parts are bounded by their
 * grammars. A key that doesn't fit ends the program, since it is a bug of ours. */
#define KEY_MAX 512

struct key {
    uint8_t p[KEY_MAX];
    size_t n;
};

void key_u8(struct key *k, uint8_t v);
void key_u64(struct key *k, uint64_t v);
/* Its algorithm's byte, and its bytes. */
void key_digest(struct key *k, const struct digest *d);
void key_bytes(struct key *k, struct bytes b);
void key_text(struct key *k, const char *s);
/* The text and a NUL. */
void key_closed_text(struct key *k, const char *s);

struct bytes key_of(const struct key *k);

#endif
