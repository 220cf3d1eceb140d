#include "storage/layers/sorted_format.h"
#include <zlib.h>
#include "util/pack.h"

/* Offsets of the header's fields. The magic comes before them, the checksum behind them. */
#define VERSION_AT 8
#define HEIGHT_AT 12
#define ROOT_AT 16
#define SIZE_AT 28
#define CRC_AT 36

void
sorted_format_put_header(uint8_t out[SORTED_FORMAT_HEADER], const struct sorted_format_header *h)
{
    memcpy(out, SORTED_FORMAT_MAGIC, VERSION_AT);
    pack_uint_at(out + VERSION_AT, SORTED_FORMAT_VERSION, 4);
    pack_uint_at(out + HEIGHT_AT, h->height, 4);
    sorted_format_put_place(out + ROOT_AT, h->root);
    pack_uint_at(out + SIZE_AT, h->size, 8);
    pack_uint_at(out + CRC_AT, crc32(0, out, CRC_AT), 4);
}

bool
sorted_format_get_header(struct sorted_format_header *h, const uint8_t in[SORTED_FORMAT_HEADER])
{
    if (memcmp(in, SORTED_FORMAT_MAGIC, VERSION_AT) != 0 ||
        unpack_uint_at(in + VERSION_AT, 4) != SORTED_FORMAT_VERSION ||
        unpack_uint_at(in + CRC_AT, 4) != crc32(0, in, CRC_AT))
        return false;
    h->height = (uint32_t)unpack_uint_at(in + HEIGHT_AT, 4);
    sorted_format_get_place(&h->root, bytes_of(in + ROOT_AT, SORTED_FORMAT_PLACE));
    h->size = unpack_uint_at(in + SIZE_AT, 8);
    return h->height <= SORTED_FORMAT_HEIGHT_MAX;
}

void
sorted_format_put_place(uint8_t out[SORTED_FORMAT_PLACE], struct sorted_format_place p)
{
    pack_uint_at(out, p.offset, 8);
    pack_uint_at(out + 8, p.length, 4);
}

bool
sorted_format_get_place(struct sorted_format_place *p, struct bytes in)
{
    struct unpack u = unpack_of(in);

    p->offset = unpack_u64(&u);
    p->length = unpack_u32(&u);
    return unpack_done(&u);
}

static uint32_t
block_crc(const uint8_t *block, size_t n, uint64_t offset)
{
    uint8_t place[8];
    uLong crc;

    pack_uint_at(place, offset, sizeof place);
    crc = crc32(0, place, sizeof place);
    crc = crc32(crc, block, 4);
    return (uint32_t)crc32(crc, block + SORTED_FORMAT_BLOCK_HEADER,
                           (uInt)(n - SORTED_FORMAT_BLOCK_HEADER));
}

void
sorted_format_seal(uint8_t *block, size_t n, uint64_t offset, uint32_t raw_n)
{
    pack_uint_at(block, raw_n, 4);
    pack_uint_at(block + 4, block_crc(block, n, offset), 4);
}

bool
sorted_format_open(const uint8_t *block, size_t n, uint64_t offset, uint32_t *raw_n)
{
    *raw_n = (uint32_t)unpack_uint_at(block, 4);
    return unpack_uint_at(block + 4, 4) == block_crc(block, n, offset);
}

void
sorted_format_put_record(struct buf *out, struct bytes key, struct bytes value)
{
    pack_number(out, key.n);
    pack_number(out, value.n);
    buf_put(out, key.p, key.n);
    buf_put(out, value.p, value.n);
}

bool
sorted_format_get_record(struct bytes block, size_t *at, struct bytes *key, struct bytes *value)
{
    struct unpack u = unpack_of(bytes_after(block, *at));
    uint64_t key_n = unpack_number(&u), value_n = unpack_number(&u);

    if (key_n > SORTED_FORMAT_KEY_MAX || value_n > SORTED_FORMAT_VALUE_MAX)
        return false;
    *key = unpack_bytes(&u, (size_t)key_n);
    *value = unpack_bytes(&u, (size_t)value_n);
    *at = block.n - u.n;
    return !u.bad;
}

/* The lowest byte of the version came first in format 1. */
#define FIRST_VERSION 0x01000000

bool
sorted_format_is_newer(const uint8_t in[SORTED_FORMAT_HEADER])
{
    uint64_t version = unpack_uint_at(in + VERSION_AT, SORTED_FORMAT_VERSION_END - VERSION_AT);

    return memcmp(in, SORTED_FORMAT_MAGIC, VERSION_AT) == 0 && version > SORTED_FORMAT_VERSION &&
           version != FIRST_VERSION && unpack_uint_at(in + CRC_AT, 4) == crc32(0, in, CRC_AT);
}

bool
sorted_format_is_older(const uint8_t *in)
{
    uint64_t version = unpack_uint_at(in + VERSION_AT, SORTED_FORMAT_VERSION_END - VERSION_AT);

    return memcmp(in, SORTED_FORMAT_MAGIC, VERSION_AT) == 0 &&
           (version == FIRST_VERSION || (version > 1 && version < SORTED_FORMAT_VERSION));
}
