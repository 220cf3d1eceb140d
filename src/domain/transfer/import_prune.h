#pragma once

#include "domain/transfer/import_store.h"

/* An index of which not all images came along: docker from 29 on saves the image of one platform
 * with the index that it was pulled by, as that is. Here an index is there with all of its images,
 * so this makes another one. */

/* The document with those images alone that the source has with all their parts, into out; always
 * the same bytes for the same ones. 1; 0: it stays as it is, since it is no index, or all of them
 * are there, or none is; -1. */
int import_prune(const struct import_source *source, struct bytes document, struct buf *out,
                 struct err *err);
