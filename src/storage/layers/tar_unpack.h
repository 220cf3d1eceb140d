#pragma once

#include "util/bytes.h"
#include "util/err.h"

/* Decompresses a layer. The first bytes tell the format: gzip (also several members, and bytes
 * behind the last), bzip2, xz, zstd; any other file is given unchanged. The author of the layer
 * decides how much memory and time this takes, so use it only in a confined process
 * (util/confined.h). */

struct tar_unpack;

/* Reads fd from its beginning; the caller keeps fd. Returns NULL on failure. */
struct tar_unpack *tar_unpack_open(int fd, struct err *err);
void tar_unpack_close(struct tar_unpack *u);

/* Gives the next bytes, valid until the next call. Returns 1, 0 at the end, -1 (ERR_BAD_IMAGE: they
 * can't be decompressed). */
int tar_unpack_next(struct tar_unpack *u, struct bytes *piece, struct err *err);
