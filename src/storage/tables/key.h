#pragma once

#include <stdint.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/pack.h"

/* Keys of the tables, put together from parts of fixed width, with at most one text, at the end or
 * closed by a NUL; so they sort by their parts. Without allocation: the parts are bounded by their
 * grammars. A key that doesn't fit ends the process, since it is a bug. */
#define KEY_MAX 512

struct key {
    uint8_t p[KEY_MAX];
    size_t n;
};

void key_u8(struct key *k, uint8_t v);
void key_u32(struct key *k, uint32_t v);
void key_u64(struct key *k, uint64_t v);
/* The byte of its algorithm, and its bytes. */
void key_digest(struct key *k, const struct digest *d);
void key_bytes(struct key *k, struct bytes b);
void key_text(struct key *k, const char *s);
/* The text and a NUL. */
void key_closed_text(struct key *k, const char *s);

struct key key_of_digest(const struct digest *d);
struct key key_of_text(const char *s);

struct bytes key_of(const struct key *k);

/* What is left of a key that is read (pack.h), as a text of less than `room` bytes; else bad. */
void key_take_text(struct unpack *u, char *out, size_t room);
