#ifndef STORAGE_LAYERS_SORTED_FORMAT_H
#define STORAGE_LAYERS_SORTED_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"

/* The bytes of a sorted_file, for its writer and its reader. Integers are little-endian.
 *
 *   header, 48 bytes   magic, version, height (0: no records; 1: the root is a leaf), place of the
 *                      root, number of records, size of the file, CRC-32 of all that
 *   blocks             length before compression, CRC-32 of (the block's offset, that length, what
 *                      follows), then the records, as they are or as a frame of zstd
 *   a record           length of the key, length of the value (both LEB128), key, value
 *
 * A record in a leaf is a record; in a block above, the key is the first one of the block below,
 * and the value is its place: offset (8 bytes) and length (4). Blocks below come before those
 * above. */

#define SORTED_FORMAT_MAGIC "sorted1\n"
#define SORTED_FORMAT_VERSION 1
#define SORTED_FORMAT_HEADER 48
#define SORTED_FORMAT_BLOCK_HEADER 8
#define SORTED_FORMAT_HEIGHT_MAX 8
#define SORTED_FORMAT_PLACE 12
/* A block is closed when it has so many bytes, and so it has never more than SORTED_FORMAT_MAX. */
#define SORTED_FORMAT_FULL ((size_t)16 << 10)
#define SORTED_FORMAT_MAX ((size_t)320 << 10)

struct sorted_format_place {
    uint64_t offset;
    uint32_t length; /* with the block's header */
};

struct sorted_format_header {
    uint32_t height;
    struct sorted_format_place root;
    uint64_t records;
    uint64_t size;
};

void sorted_format_put_header(uint8_t out[SORTED_FORMAT_HEADER],
                              const struct sorted_format_header *h);
/* False: that isn't one. */
bool sorted_format_get_header(struct sorted_format_header *h,
                              const uint8_t in[SORTED_FORMAT_HEADER]);

void sorted_format_put_place(uint8_t out[SORTED_FORMAT_PLACE], struct sorted_format_place p);
bool sorted_format_get_place(struct sorted_format_place *p, struct bytes in);

/* Both in front of the block's contents. */
void sorted_format_seal(uint8_t *block, size_t n, uint64_t offset, uint32_t raw_n);
/* False: the checksum is wrong. */
bool sorted_format_open(const uint8_t *block, size_t n, uint64_t offset, uint32_t *raw_n);

void sorted_format_put_record(struct buf *out, struct bytes key, struct bytes value);
/* Moves *at behind the record. False: there is none. */
bool sorted_format_get_record(struct bytes block, size_t *at, struct bytes *key,
                              struct bytes *value);

/* LEB128. */
void sorted_format_put_number(struct buf *out, uint64_t v);
bool sorted_format_get_number(struct bytes in, size_t *at, uint64_t *v);

int sorted_format_compare(struct bytes a, struct bytes b);

#endif
