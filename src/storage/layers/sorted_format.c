#include "storage/layers/sorted_format.h"

#include <string.h>
#include <zlib.h>

#include "storage/layers/sorted_file.h"
#include "util/banned.h"

static void
put_le(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t
get_le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

void
sorted_format_put_header(uint8_t out[SORTED_FORMAT_HEADER], const struct sorted_format_header *h)
{
    memcpy(out, SORTED_FORMAT_MAGIC, 8);
    put_le(out + 8, SORTED_FORMAT_VERSION, 4);
    put_le(out + 12, h->height, 4);
    sorted_format_put_place(out + 16, h->root);
    put_le(out + 28, h->records, 8);
    put_le(out + 36, h->size, 8);
    put_le(out + 44, crc32(0, out, 44), 4);
}

bool
sorted_format_get_header(struct sorted_format_header *h, const uint8_t in[SORTED_FORMAT_HEADER])
{
    if (memcmp(in, SORTED_FORMAT_MAGIC, 8) != 0 || get_le(in + 8, 4) != SORTED_FORMAT_VERSION ||
        get_le(in + 44, 4) != crc32(0, in, 44))
        return false;
    h->height = (uint32_t)get_le(in + 12, 4);
    sorted_format_get_place(&h->root, bytes_of(in + 16, SORTED_FORMAT_PLACE));
    h->records = get_le(in + 28, 8);
    h->size = get_le(in + 36, 8);
    return h->height <= SORTED_FORMAT_HEIGHT_MAX;
}

void
sorted_format_put_place(uint8_t out[SORTED_FORMAT_PLACE], struct sorted_format_place p)
{
    put_le(out, p.offset, 8);
    put_le(out + 8, p.length, 4);
}

bool
sorted_format_get_place(struct sorted_format_place *p, struct bytes in)
{
    const uint8_t *b = in.p;

    if (in.n != SORTED_FORMAT_PLACE)
        return false;
    p->offset = get_le(b, 8);
    p->length = (uint32_t)get_le(b + 8, 4);
    return true;
}

static uint32_t
block_crc(const uint8_t *block, size_t n, uint64_t offset)
{
    uint8_t place[8];
    uLong crc;

    put_le(place, offset, 8);
    crc = crc32(0, place, sizeof place);
    crc = crc32(crc, block, 4);
    return (uint32_t)crc32(crc, block + SORTED_FORMAT_BLOCK_HEADER,
                           (uInt)(n - SORTED_FORMAT_BLOCK_HEADER));
}

void
sorted_format_seal(uint8_t *block, size_t n, uint64_t offset, uint32_t raw_n)
{
    put_le(block, raw_n, 4);
    put_le(block + 4, block_crc(block, n, offset), 4);
}

bool
sorted_format_open(const uint8_t *block, size_t n, uint64_t offset, uint32_t *raw_n)
{
    *raw_n = (uint32_t)get_le(block, 4);
    return get_le(block + 4, 4) == block_crc(block, n, offset);
}

void
sorted_format_put_number(struct buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_putc(out, (char)(0x80 | (v & 0x7f)));
    buf_putc(out, (char)v);
}

bool
sorted_format_get_number(struct bytes in, size_t *at, uint64_t *v)
{
    const uint8_t *b = in.p;

    *v = 0;
    for (unsigned shift = 0; shift < 64 && *at < in.n; shift += 7) {
        uint8_t byte = b[(*at)++];

        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

void
sorted_format_put_record(struct buf *out, struct bytes key, struct bytes value)
{
    sorted_format_put_number(out, key.n);
    sorted_format_put_number(out, value.n);
    buf_put(out, key.p, key.n);
    buf_put(out, value.p, value.n);
}

bool
sorted_format_get_record(struct bytes block, size_t *at, struct bytes *key, struct bytes *value)
{
    const uint8_t *b = block.p;
    uint64_t key_n, value_n;

    if (!sorted_format_get_number(block, at, &key_n) ||
        !sorted_format_get_number(block, at, &value_n) || key_n > SORTED_FILE_KEY_MAX ||
        value_n > SORTED_FILE_VALUE_MAX || key_n + value_n > block.n - *at)
        return false;
    *key = bytes_of(b + *at, (size_t)key_n);
    *value = bytes_of(b + *at + key_n, (size_t)value_n);
    *at += (size_t)(key_n + value_n);
    return true;
}

int
sorted_format_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}
