#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/files/blob_store.h"
#include "storage/kv/kv.h"
#include "storage/layers/index_store.h"
#include "util/err.h"

/* Copies the files of all blobs that a store names to another place, under the same names, and the
 * indexes of layers that are beside them. Files that are there already, with their size, are left
 * out: a file gets its name when it is whole. In a bucket, each object that is there is whole. An
 * index is copied as it is: its reader looks whether it is whole. */
struct blob_copy {
    struct kv *kv;
    const struct blob_store *from, *to;
    struct index_store indexes_from, indexes_to; /* of the same place: nothing is to be done */
    bool is_changing;                            /* others use the store: a blob may go meanwhile */
    bool (*is_over)(void *arg);
    void (*tell)(void *arg, const struct blob_copy *c);
    void (*complain)(void *arg, const char *text);
    void *arg;

    uint64_t blobs, bytes;         /* so far */
    uint64_t new_blobs, new_bytes; /* those that were copied */
    uint64_t damaged;              /* that are missing, or have another digest; complained of */

    struct copy_lists *lists; /* of blob_copy_run */
};

/* Everything that was copied is durable then. 0; -1: it can be repeated. */
int blob_copy_run(struct blob_copy *c, struct err *err);
