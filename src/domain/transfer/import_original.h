#pragma once

#include "domain/transfer/import_listing.h"
#include "domain/transfer/import_store.h"

/* A directory of the original docker-registry-server (npm), with a listing of its images: the layer
 * of an image is the file layers/<id>. They stay images of the first API, as if they had been
 * pushed here.
 *
 * The original writes over a layer in place when it is pushed again, so layers are copied. */

/* files: of its directory. 0, -1 when it had to stop. */
int import_original_run(struct import_store *s, const struct import_files *files,
                        const struct import_listing *listing, struct err *err);
