#pragma once

#include <stdint.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/pack.h"

/* Builds keys of tables from their parts. Parts have a fixed width, except one text, which is the
 * last part or ends with a NUL; so keys sort by their parts. Nothing is allocated, since grammars
 * bound the parts. A key that doesn't fit is a bug, and ends the process. */
#define KEY_MAX 512

struct key {
    uint8_t p[KEY_MAX];
    size_t n;
};

void key_u8(struct key *k, uint8_t v);
void key_u32(struct key *k, uint32_t v);
void key_u64(struct key *k, uint64_t v);
/* The number of the algorithm (1 byte), then the digest's bytes. */
void key_digest(struct key *k, const struct digest *d);
void key_bytes(struct key *k, struct bytes b);
void key_text(struct key *k, const char *s);
/* The text and a NUL. */
void key_closed_text(struct key *k, const char *s);

struct key key_of_digest(const struct digest *d);
struct key key_of_text(const char *s);

struct bytes key_of(const struct key *k);

/* Takes the rest of a key (pack.h) as a text of less than `room` bytes; a longer text is bad. */
void key_take_text(struct unpack *u, char *out, size_t room);
