#pragma once

#include "domain/inside/layer_files.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The differences between two images, path by path, in byte order. Each path that only one image
 * has is reported, also below a directory that only one image has. If a path changed from or to a
 * directory, both sides are reported.
 *
 * Two files of the same size are known to be equal, without reading them, if they are the same
 * bytes of the same layer. Otherwise both are read. If a file can't be read, if more than
 * LAYER_FILES_MAX bytes would be decoded, or once LAYER_DIFF_MS were spent on reading, the content
 * is "unknown". Hard links and extended attributes aren't compared. */

/* Milliseconds. A layer of a few kB can have many sparse files of 64 GiB each. */
#define LAYER_DIFF_MS 30000

enum layer_diff_op {
    LAYER_DIFF_ADD,
    LAYER_DIFF_CHANGE,
    LAYER_DIFF_REMOVE,
};

#define LAYER_DIFF_TYPE 1u
#define LAYER_DIFF_MODE 2u /* not of symbolic links */
#define LAYER_DIFF_UID 4u
#define LAYER_DIFF_GID 8u
#define LAYER_DIFF_SIZE 16u
#define LAYER_DIFF_MTIME 32u
#define LAYER_DIFF_LINK 64u    /* target of a symbolic link */
#define LAYER_DIFF_DEVICE 128u /* the numbers of one */
#define LAYER_DIFF_CONTENT 256u
#define LAYER_DIFF_WHATS 9
/* The name of bit 1 << i, as answers have it: "type", ... */
const char *layer_diff_name(unsigned i);

struct layer_diff_change {
    enum layer_diff_op op;
    struct bytes path; /* without a leading slash */
    bool dir;          /* the type in `to`; in `from` if the path was removed */
    unsigned changed;  /* of a change */
    unsigned unknown;  /* LAYER_DIFF_CONTENT if the content may differ; then changed may be 0 */
};

struct layer_diff_side {
    struct layer_files files;
    const struct digest *layers; /* the blobs of files.merge->layers */
};

/* Calls fn for each change behind the path `after` ("": from the first on), whose texts are valid
 * until it returns. fn returns 0 to go on, 1 to stop, or -1. 0; -1: ERR_NOT_BROWSABLE, an error of
 * the machine, or fn's. */
int layer_diff(struct layer_diff_side *from, struct layer_diff_side *to, struct bytes after,
               int (*fn)(void *arg, const struct layer_diff_change *c, struct err *err), void *arg,
               struct err *err);
