#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/digest.h"

/* Integers, texts and digests as bytes: for keys and values of the database, messages between
 * processes, and files. Integers are big-endian and of fixed width, so that they sort as bytes. A
 * text has its length in front, in two bytes; a digest has one byte for its algorithm in front. */

/* ---- to bytes: appended to out, whose failure is sticky (buf_ok) ---- */

void pack_u8(struct buf *out, uint8_t v);
void pack_u32(struct buf *out, uint32_t v);
void pack_u64(struct buf *out, uint64_t v);
/* At most 65,535 bytes; a longer text makes out fail. */
void pack_text(struct buf *out, const char *s);
/* Any bytes, with a length of two bytes in front. */
void pack_bytes16(struct buf *out, struct bytes b);
void pack_digest(struct buf *out, const struct digest *d);

/* An integer in as few bytes as possible: seven bits in each byte, the lowest first, and the top
 * bit set in all bytes but the last (LEB128). Such numbers don't sort as bytes. */
void pack_number(struct buf *out, uint64_t v);

/* Writes an integer of `width` bytes (1 to 8) at p. */
void pack_uint_at(uint8_t *p, uint64_t v, size_t width);

/* ---- from bytes ---- */

/* Reads from the front. When a field is missing or malformed, u->bad is set, and all later reads
 * give 0 or "". So a decoder reads all fields, and asks unpack_done once. */
struct unpack {
    const uint8_t *p;
    size_t n; /* bytes left */
    bool bad;
};

static inline struct unpack
unpack_of(struct bytes in)
{
    return (struct unpack){.p = in.p, .n = in.n};
}

/* Reads n bytes. The result points into the input. This function and the next one are inline
 * because a search through a layer's index calls them for each of its records. */
static inline struct bytes
unpack_bytes(struct unpack *u, size_t n)
{
    struct bytes b = {u->p, n};

    u->bad = u->bad || n > u->n;
    if (u->bad || n == 0)
        return bytes_of("", 0);
    u->p += n;
    u->n -= n;
    return b;
}

/* Reads what pack_number wrote. */
static inline uint64_t
unpack_number(struct unpack *u)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && !u->bad && u->n > 0; shift += 7) {
        uint8_t byte = *u->p++;

        u->n--;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    u->bad = true;
    return 0;
}

uint8_t unpack_u8(struct unpack *u);
uint16_t unpack_u16(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
/* Reads a text into out, with a NUL. A text that has `room` bytes or more, or contains a NUL, is
 * malformed. */
void unpack_text(struct unpack *u, char *out, size_t room);
/* The results point into the input. */
struct bytes unpack_bytes16(struct unpack *u);
struct bytes unpack_rest(struct unpack *u);
void unpack_digest(struct unpack *u, struct digest *d);
/* True if all fields were well-formed and no bytes are left. */
bool unpack_done(const struct unpack *u);

uint64_t unpack_uint_at(const uint8_t *p, size_t width);

/* The same for four bytes, inline because a decision about access reads thousands of them. */
static inline uint32_t
unpack_u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
