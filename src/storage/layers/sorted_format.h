#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The bytes of a sorted_file, for its writer and its reader. Integers are big-endian (util/pack.h).
 *
 *   header, 40 bytes   magic, version (4 bytes), height (4; 0: no records; 1: the root is a leaf),
 *                      place of the root, size of the file (8), CRC-32 of these
 *   blocks             length before compression; CRC-32 of the block's offset, that length and the
 *                      rest of the block; the records, plain or as a zstd frame
 *   a record           length of the key, length of the value (both as pack_number), key, value
 *   a place            offset (8 bytes) and length (4) of a block
 *
 * The leaves hold the records of the file. In a block above, each record stands for a block below:
 * the key is the first key of that block, and the value is its place. A block is written after all
 * blocks below it. */

#define SORTED_FORMAT_MAGIC "sorted1\n"
#define SORTED_FORMAT_VERSION 2
#define SORTED_FORMAT_HEADER 40
#define SORTED_FORMAT_BLOCK_HEADER 8
#define SORTED_FORMAT_PLACE 12

/* Maximal bytes of a key, and of a value. */
#define SORTED_FORMAT_KEY_MAX 512
#define SORTED_FORMAT_VALUE_MAX ((size_t)256 << 10)
#define SORTED_FORMAT_HEIGHT_MAX 8
/* Bytes from which on a block is closed. With its last record it is never larger than
 * SORTED_FORMAT_MAX. */
#define SORTED_FORMAT_FULL ((size_t)16 << 10)
#define SORTED_FORMAT_MAX ((size_t)320 << 10)

struct sorted_format_place {
    uint64_t offset;
    uint32_t length; /* bytes, including the block's header */
};

struct sorted_format_header {
    uint32_t height;
    struct sorted_format_place root;
    uint64_t size;
};

void sorted_format_put_header(uint8_t out[SORTED_FORMAT_HEADER],
                              const struct sorted_format_header *h);
/* Returns false if it isn't a header. */
bool sorted_format_get_header(struct sorted_format_header *h,
                              const uint8_t in[SORTED_FORMAT_HEADER]);

void sorted_format_put_place(uint8_t out[SORTED_FORMAT_PLACE], struct sorted_format_place p);
bool sorted_format_get_place(struct sorted_format_place *p, struct bytes in);

/* Writes length and checksum in front of the block's contents. */
void sorted_format_seal(uint8_t *block, size_t n, uint64_t offset, uint32_t raw_n);
/* Returns false if the checksum is wrong. */
bool sorted_format_open(const uint8_t *block, size_t n, uint64_t offset, uint32_t *raw_n);

void sorted_format_put_record(struct buf *out, struct bytes key, struct bytes value);
/* Moves *at behind the record. Returns false if there is none. */
bool sorted_format_get_record(struct bytes block, size_t *at, struct bytes *key,
                              struct bytes *value);

/* Is that the header of a newer format? Each format keeps the magic, and the places of the version
 * and of the checksum. */
bool sorted_format_is_newer(const uint8_t in[SORTED_FORMAT_HEADER]);

/* Do these bytes, the first SORTED_FORMAT_VERSION_END of a file, begin one of an older format? */
#define SORTED_FORMAT_VERSION_END 12
bool sorted_format_is_older(const uint8_t *in);
