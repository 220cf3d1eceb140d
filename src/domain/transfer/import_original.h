#pragma once

#include "domain/transfer/import_listing.h"
#include "domain/transfer/import_store.h"

/* Imports a directory of the original docker-registry-server (npm) with a listing of its images.
 * The layer of an image is the file layers/<id>. The images become images of the first API.
 *
 * The original overwrites a layer in place when it is pushed again, so layers are copied. */

/* files: of its directory. 0, or -1 if the import must stop. */
int import_original_run(struct import_store *s, const struct import_files *files,
                        const struct import_listing *listing, struct err *err);
