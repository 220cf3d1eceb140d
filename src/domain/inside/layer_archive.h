#pragma once

#include "domain/inside/layer_files.h"
#include "util/bytes.h"
#include "util/err.h"

/* Writes a tar of what a container would see: of a directory, with "./" for itself, or of one other
 * entry, by its name. A directory comes directly before its contents. The same image gives the same
 * bytes.
 *
 * The first of several hard links has the data, and the others are links to it, as far as they are
 * in the archive. Beyond LAYER_ARCHIVE_LINKS_MAX files, each link has the data. Holes of sparse
 * files are zeros. A hard link without a target is left out. There are no extended attributes,
 * because the indexes don't have them. */

/* Limit of the bytes of all files. */
#define LAYER_ARCHIVE_MAX (UINT64_C(256) << 30)
/* An archive may decode this many bytes, and LAYER_ARCHIVE_TIMES the bytes of its
 * files. Data in the reverse order of the names, in a layer of few kB that can only be decoded from
 * its beginning, would otherwise cost the square of what is written. */
#define LAYER_ARCHIVE_DECODED (UINT64_C(8) << 30)
#define LAYER_ARCHIVE_TIMES 4
#define LAYER_ARCHIVE_LINKS_MAX 65536u

/* files: of the image. If the path is a symbolic link, it is followed. Memory: about 30 MB at most,
 * little for small directories. 0; -1: ERR_NO_FILE: there is no such entry, or a tar can't hold it;
 * ERR_NOT_BROWSABLE; ERR_TOO_LARGE; or put's. If the error is due to the tree alone, nothing was
 * written. */
int layer_archive(struct layer_files *files, struct bytes path,
                  int (*put)(void *arg, struct bytes b, struct err *err), void *arg,
                  struct err *err);

/* A name for the archive: the last part of the path, or "". It points into the path. */
struct bytes layer_archive_name(struct bytes path);
