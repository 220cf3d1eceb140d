#pragma once

#include "domain/transfer/import_store.h"

/* Blobs from files of the source: by a hard link where that is safe, else by a copy. */

/* Makes the blob part of the current repository, from the store or else from the source. */
int import_blob_ensure(struct import_store *s, const struct digest *d, struct err *err);

/* Reads the file once for several hashes, which the caller has begun. Writes it to `to` as well,
 * unless that is -1. Returns 0; or -1 and ERR_NO_FILE or an error that ends the import. */
int import_blob_read(struct import_store *s, const struct import_file *file,
                     struct digest_state *const *hashes, size_t n, int to, struct err *err);
