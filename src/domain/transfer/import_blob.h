#pragma once

#include "domain/transfer/import_store.h"

/* The bytes of blobs, from a file of the source into the store: by a second name for the file where
 * that can be, else by a copy. */

/* The file becomes a blob of the repository if its bytes hash to d: 1, else 0 and it was said; -1.
 */
int import_blob_take(struct import_store *s, const struct digest *d, struct import_file *file,
                     struct err *err);

/* Reads the file once for several hashes, which the caller has begun; and writes it to `to`, unless
 * that is -1. 0; -1: ERR_NO_FILE, or the whole has to stop. */
int import_blob_read(struct import_store *s, const struct import_file *file,
                     struct digest_state *const *hashes, size_t n, int to, struct err *err);
