#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/files/blob_store.h"
#include "util/digest.h"

/* Blobs that are objects of a bucket, for callers that can't wait until blob_file_open has copied
 * one into the cache. */

/* Are the blobs objects? */
bool blob_remote_is(const struct blob_store *s);
/* In a confined child of a hurried process: it may wait, and doesn't read the keys again. */
void blob_remote_begin_child(const struct blob_store *s);

/* The file of a blob; with is_absent it is empty, and blob_remote_fetch fills it, perhaps in
 * another process, and verifies the digest. It never gets a name. */
struct blob_late {
    uint64_t instance, size;
    int fd;
    bool is_absent;
};
/* Opens the file, or makes an empty one, for the instance. */
int blob_remote_open(const struct blob_store *s, const struct digest *d, struct blob_late *late,
                     struct err *err);
int blob_remote_fetch(const struct blob_store *s, const struct digest *d,
                      const struct blob_late *late, struct err *err);
/* Reads an object where it is, past the cache, for its digest, at that rate in bytes a second (0:
 * as fast as it comes). 1: it is right; 0: there is none; -1: ERR_CORRUPT: it has another digest.
 */
int blob_remote_verify(const struct blob_store *s, const struct digest *d, uint64_t instance,
                       uint64_t rate, struct err *err);
