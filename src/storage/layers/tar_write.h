#pragma once

#include <stddef.h>
#include <stdint.h>
#include "storage/layers/tar_scan.h"
#include "util/buf.h"

/* Makes the bytes of a tar around the data of its entries: ustar (POSIX.1-1988), with a pax header
 * (POSIX.1-2001) in front of entries that don't fit. The same entry gives the same bytes on every
 * machine. */

/* Maximal bytes for one entry's headers, if its path and link have LAYER_PATH_MAX. */
#define TAR_WRITE_HEADER_MAX 12288

/* Appends the header of e. Its `header`, `data` and `xattrs` are ignored, and it must not be
 * sparse. If e is a file and not a hard link, size bytes of data must follow. A slash is added to a
 * directory's path; a time before 1970 loses its fraction of a second. */
void tar_write_header(struct buf *out, const struct tar_entry *e);

/* The number of zeroes behind data of that size. */
size_t tar_write_padding(uint64_t size);

/* Appends the end of the archive. */
void tar_write_end(struct buf *out);
