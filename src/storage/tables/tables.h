#ifndef STORAGE_TABLES_TABLES_H
#define STORAGE_TABLES_TABLES_H

#include "storage/kv/kv.h"

/* The tables, in the order in which a transaction touches them. src/README says what each holds;
 * the keys are built in tbl_*.c, the values in record.c. */
enum table {
    TABLE_META,
    TABLE_REPO,
    TABLE_UPLOAD,
    TABLE_TAG,
    TABLE_TALLY,
    TABLE_TAG_LOG,
    TABLE_IMAGE,
    TABLE_MANIFEST,
    TABLE_CONTENT,
    TABLE_BLOB,
    TABLE_EDGE,
    TABLE_JOB,
    TABLE_HOOK,
    TABLE_EVENT,
    TABLE_COUNT,
};

extern const struct kv_table tables[TABLE_COUNT];

#endif
