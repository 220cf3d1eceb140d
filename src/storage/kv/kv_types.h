#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"

/* The types that both sides of the waist use, kv.h and kv_filling.h. */

struct kv;
struct kv_cursor;
/* A transaction, or the handle for reads outside of one (kv_reads). */
struct txn;

enum kv_kind {
    KV_ORDERED, /* keys in byte order */
    KV_QUEUE,   /* keys are sequence numbers (4 bytes, big-endian, from 1) */
};

struct kv_table {
    const char *name;
    enum kv_kind kind;
    /* Bytes that are locked, read and written together; 0: 4096. No more than a page of memory: a
     * power loss may leave half of two pages, which the library doesn't recover. */
    uint32_t page_size;
    uint32_t record_size; /* queue: the longest value, in bytes */
    bool is_later;        /* stores of the first format don't have it before they are recovered */
};

/* The entries that a cursor visits, in the order of their keys. */
struct kv_range {
    struct bytes prefix; /* only keys that start with it */
    struct bytes from;   /* only this key and greater ones; empty, or not less than prefix */
    bool behind;         /* without the key `from` itself */
    size_t limit;        /* only the first `limit` entries; 0: no limit */
};
