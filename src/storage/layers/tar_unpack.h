#ifndef STORAGE_LAYERS_TAR_UNPACK_H
#define STORAGE_LAYERS_TAR_UNPACK_H

#include "util/bytes.h"
#include "util/err.h"

/* A layer without its compression: gzip (also several members, and bytes behind the last), bzip2,
 * xz, zstd, told by their first bytes; anything else comes as it is. What it needs of memory and
 * time is up to who made the layer: use it only in a confined process (util/confined.h). */

struct tar_unpack;

/* Reads fd from its beginning; fd stays the caller's. NULL: failed. */
struct tar_unpack *tar_unpack_open(int fd, struct err *err);
void tar_unpack_close(struct tar_unpack *u);

/* The next bytes, valid until the next call: 1, 0 at the end, -1 (ERR_BAD_IMAGE: they can't be
 * unpacked). */
int tar_unpack_next(struct tar_unpack *u, struct bytes *piece, struct err *err);

#endif
