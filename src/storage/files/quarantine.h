#pragma once

#include <stdint.h>
#include "storage/files/blob_store.h"
#include "util/digest.h"
#include "util/err.h"

/* The directory quarantine/ of the blob store: the files of damaged blobs, for a person who wants
 * to look at them. It is there because a file can't be renamed to another file system. Bounded: the
 * oldest files are removed. */
#define QUARANTINE_FILES 100
#define QUARANTINE_BYTES (UINT64_C(10) << 30)

/* Makes the directory: when this fails, no file could be moved. */
int quarantine_prepare(const struct blob_store *s, struct err *err);

/* Moves the file of that instance there, as <hex>.<instance>. 0 also when there is no such file. */
int quarantine_put(const struct blob_store *s, const struct digest *d, uint64_t instance,
                   struct err *err);
