#ifndef STORAGE_LAYERS_TAR_WRITE_H
#define STORAGE_LAYERS_TAR_WRITE_H

#include <stddef.h>
#include <stdint.h>
#include "storage/layers/tar_scan.h"
#include "util/buf.h"

/* The bytes of a tar around the data of its entries: ustar (POSIX.1-1988), and where it has no room
 * a pax header (POSIX.1-2001) in front. The same entry gives the same bytes, everywhere. */

/* So many at most for one header: with a path and a link of LAYER_PATH_MAX. */
#define TAR_WRITE_HEADER_MAX 12288

/* Appends the header of e. Its `header`, `data` and `xattrs` don't count, and it isn't sparse: size
 * bytes of data follow, if it is a file and no hard link. A directory's path gets its slash; a time
 * before 1970 loses its fraction of a second. */
void tar_write_header(struct buf *out, const struct tar_entry *e);

/* How many zeroes follow that much data. */
size_t tar_write_padding(uint64_t size);

/* Appends the end of the archive. */
void tar_write_end(struct buf *out);

#endif
