#include "util/pack.h"

void
pack_uint_at(uint8_t *p, uint64_t v, size_t width)
{
    for (size_t i = 0; i < width; i++)
        p[i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

uint64_t
unpack_uint_at(const uint8_t *p, size_t width)
{
    uint64_t v = 0;

    for (size_t i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

/* ---- to bytes ---- */

static void
pack_uint(struct buf *out, uint64_t v, size_t width)
{
    uint8_t b[8];

    pack_uint_at(b, v, width);
    buf_put(out, b, width);
}

void
pack_u8(struct buf *out, uint8_t v)
{
    pack_uint(out, v, 1);
}

void
pack_u32(struct buf *out, uint32_t v)
{
    pack_uint(out, v, 4);
}

void
pack_u64(struct buf *out, uint64_t v)
{
    pack_uint(out, v, 8);
}

void
pack_number(struct buf *out, uint64_t v)
{
    uint8_t b[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        b[n++] = (uint8_t)(0x80 | (v & 0x7f));
    b[n++] = (uint8_t)v;
    buf_put(out, b, n);
}

void
pack_bytes16(struct buf *out, struct bytes b)
{
    if (b.n > UINT16_MAX) {
        out->failed = true;
        return;
    }
    pack_uint(out, b.n, 2);
    buf_put(out, b.p, b.n);
}

void
pack_text(struct buf *out, const char *s)
{
    pack_bytes16(out, bytes_str(s));
}

void
pack_digest(struct buf *out, const struct digest *d)
{
    pack_u8(out, (uint8_t)d->algo);
    buf_put(out, d->bytes, digest_size(d->algo));
}

/* ---- from bytes ---- */

static uint64_t
unpack_uint(struct unpack *u, size_t width)
{
    struct bytes b = unpack_bytes(u, width);

    return unpack_uint_at(b.p, b.n);
}

uint8_t
unpack_u8(struct unpack *u)
{
    return (uint8_t)unpack_uint(u, 1);
}

uint16_t
unpack_u16(struct unpack *u)
{
    return (uint16_t)unpack_uint(u, 2);
}

uint32_t
unpack_u32(struct unpack *u)
{
    return (uint32_t)unpack_uint(u, 4);
}

uint64_t
unpack_u64(struct unpack *u)
{
    return unpack_uint(u, 8);
}

struct bytes
unpack_bytes16(struct unpack *u)
{
    return unpack_bytes(u, unpack_u16(u));
}

struct bytes
unpack_rest(struct unpack *u)
{
    return unpack_bytes(u, u->n);
}

void
unpack_text(struct unpack *u, char *out, size_t room)
{
    struct bytes b = unpack_bytes16(u);

    out[0] = '\0';
    if (b.n >= room || memchr(b.p, '\0', b.n) != NULL) {
        u->bad = true;
        return;
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
}

void
unpack_digest(struct unpack *u, struct digest *d)
{
    uint8_t algo = unpack_u8(u);
    struct bytes b;

    *d = (struct digest){.algo = DIGEST_NONE};
    if (algo > DIGEST_V1_ID) {
        u->bad = true;
        return;
    }
    b = unpack_bytes(u, digest_size((enum digest_algo)algo));
    if (u->bad)
        return;
    d->algo = (enum digest_algo)algo;
    memcpy(d->bytes, b.p, b.n);
}

bool
unpack_done(const struct unpack *u)
{
    return !u->bad && u->n == 0;
}
