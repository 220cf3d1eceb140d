#pragma once

#include "domain/inside/layer_files.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* What is different between two images, path by path, in the byte order of paths. Each path that is
 * only in one of them is given, also below a directory that is; and so are both sides of what
 * became a directory, or stopped being one.
 *
 * Whether two files of the same size have the same content is known without reading them when they
 * are the same bytes of the same layer. Else both are read. When that can't be done (the layer
 * can't be read there), or more than LAYER_FILES_MAX would be decoded, content is unknown. That
 * files are one (hard links), and extended attributes, aren't compared. */

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
#define LAYER_DIFF_LINK 64u    /* where a symbolic link leads */
#define LAYER_DIFF_DEVICE 128u /* the numbers of one */
#define LAYER_DIFF_CONTENT 256u
#define LAYER_DIFF_WHATS 9
/* The name of bit 1 << i, as answers have it: "type", ... */
const char *layer_diff_name(unsigned i);

struct layer_diff_change {
    enum layer_diff_op op;
    struct bytes path; /* without a slash in front */
    bool dir;          /* what it is, or was if it is no more */
    unsigned changed;  /* of a change */
    unsigned unknown;  /* LAYER_DIFF_CONTENT: it may be other; then changed may be 0 */
};

struct layer_diff_side {
    struct layer_files files;
    const struct digest *layers; /* the blobs of files.merge->layers */
};

/* fn: for each change, whose texts are valid until it returns; -1 stops. 0; -1: ERR_NOT_BROWSABLE,
 * the machine, or fn's. */
int layer_diff(struct layer_diff_side *from, struct layer_diff_side *to,
               int (*fn)(void *arg, const struct layer_diff_change *c, struct err *err), void *arg,
               struct err *err);
