#pragma once

#include "storage/kv/kv_types.h"

/* The tables, in the order in which a transaction touches them. src/README describes what each
 * holds; the keys are built in tbl_*.c, the values in record.c. */
enum table {
    TABLE_META,
    TABLE_REPO,
    TABLE_REPO_NAME,
    TABLE_UPLOAD,
    TABLE_TAG,
    TABLE_TALLY,
    TABLE_TAG_LOG,
    TABLE_IMAGE,
    TABLE_MANIFEST,
    TABLE_TRASH,
    TABLE_CONTENT,
    TABLE_BLOB,
    TABLE_DAMAGE,
    TABLE_EDGE,
    TABLE_QUOTA,
    TABLE_JOB,
    TABLE_PULL,
    TABLE_HOOK,
    TABLE_EVENT,
    TABLE_COUNT,
};

/* The longest record of the queue of events, in bytes. */
#define TABLES_EVENT_MAX 1024

extern const struct kv_table tables[TABLE_COUNT];
