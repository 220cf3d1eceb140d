#pragma once

#include "domain/transfer/import_store.h"

/* Indexes that lack some of their images. Since version 29, docker saves the image of one platform
 * together with the complete index of all platforms. The store accepts an index only with all its
 * images, so this makes a smaller index. */

/* Writes to out an index of only those images that the source has with all their parts. The same
 * images give the same bytes. Returns 1; 0 if the document is to be used unchanged, because it
 * isn't an index, or because all or none of its images are there; or -1. */
int import_prune(const struct import_source *source, struct bytes document, struct buf *out,
                 struct err *err);
