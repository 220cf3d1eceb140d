#ifndef STORAGE_LAYERS_TARSUM_H
#define STORAGE_LAYERS_TARSUM_H

#include <stdbool.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The tarsum of a layer, as docker's pkg/tarsum defines it: sha256 over an image's JSON and the
 * sums of the layer's entries, which are over their headers and data. */

enum tarsum_version {
    TARSUM_V0, /* with modification times, without extended attributes */
    TARSUM_V1, /* the other way round; docker's "dev" too */
};

#define TARSUM_WHY_MAX ERR_MESSAGE_MAX

struct tarsum {
    bool computed;
    bool duplicates; /* a name is there twice: the sum depends on an order that isn't defined */
    struct digest digest;
    char why[TARSUM_WHY_MAX]; /* it wasn't computed */
};

/* Of the layer behind fd, compressed or not. What comes from strangers is read in a process of its
 * own, which may use 512 MiB and a minute, and knows nothing of the registry. A layer for which
 * that isn't enough, or that is no tar, isn't computed. -1: an error of our own. */
int tarsum_of_fd(int fd, enum tarsum_version version, struct bytes json, struct tarsum *out,
                 struct err *err);

/* The same in this process, for tests. */
int tarsum_here(int fd, enum tarsum_version version, struct bytes json, struct tarsum *out,
                struct err *err);

#endif
