#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/kv/kv.h"
#include "storage/tables/tables.h"
#include "util/digest.h"
#include "util/err.h"

/* Makes the records of one store equal to those of another one, whatever fillings the two have:
 * table by table, in the order of the keys, in transactions of some hundred changes. What is equal
 * already isn't written again, so a second call only writes what has changed in `from` since.
 *
 * `from` must not change meanwhile, and nobody else may use `to`. After a failure, and after the
 * death of the process, `to` is something in between, and the next call goes on. */
struct store_merge {
    struct kv *from, *to;
    /* A number in table meta that isn't copied, and stays in `to`; NULL: none. */
    const char *apart;
    bool (*is_over)(void *arg); /* asked now and then; true: ERR_BUSY */
    void (*tell)(void *arg, const char *table, uint64_t records);
    void *arg;

    uint64_t records; /* that `from` has */
    uint64_t changes; /* that were written to `to` */
    /* What `from` has in each table, from store_merge_run: the number of records, and a hash of
     * their keys and values. */
    struct store_merge_sum {
        uint64_t records;
        struct digest digest;
    } sums[TABLE_COUNT];
};

int store_merge_run(struct store_merge *m, struct err *err);
/* Reads all of `to` again: is it what `from` had? ERR_CORRUPT: no, and the message names the table.
 */
int store_merge_verify(struct store_merge *m, struct err *err);
