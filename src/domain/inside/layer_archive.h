#pragma once

#include "domain/inside/layer_files.h"
#include "util/bytes.h"
#include "util/err.h"

/* A tar of what a container would see: of a directory, with "./" for itself, or of one thing else,
 * by its name. Directories come before what is in them, and are followed by it. The same image
 * gives the same bytes.
 *
 * Of files that are one (hard links) the first has the data and the others are links to it, as far
 * as they are in the archive; of those beyond LAYER_ARCHIVE_LINKS_MAX each has the data. Sparse
 * files have their holes as zeros. A hard link to nothing is left out. Extended attributes are not
 * there: the indexes don't have them. */

/* Bytes of files, at most. */
#define LAYER_ARCHIVE_MAX (UINT64_C(256) << 30)
#define LAYER_ARCHIVE_LINKS_MAX 65536u

/* files: of the image. The last symbolic link of the path is followed. Memory: some 30 MB at most,
 * little for small directories. 0; -1: ERR_NO_FILE, nothing is there, or nothing that a tar could
 * hold; ERR_NOT_BROWSABLE; ERR_TOO_LARGE; or put's. As long as the reason may lie in the tree alone
 * nothing was put. */
int layer_archive(struct layer_files *files, struct bytes path,
                  int (*put)(void *arg, struct bytes b, struct err *err), void *arg,
                  struct err *err);

/* What the file should be called: the last name of the path, or "". It points into the path. */
struct bytes layer_archive_name(struct bytes path);
