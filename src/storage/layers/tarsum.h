#pragma once

#include <stdbool.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The tarsum of a layer by docker's pkg/tarsum: the sha256 of an image's JSON and of the sums of
 * the layer's entries. Each of these is over the entry's header and data. */

enum tarsum_version {
    TARSUM_V0, /* includes modification times, but no extended attributes */
    TARSUM_V1, /* includes extended attributes, but no modification times; docker's "dev" too */
};

#define TARSUM_WHY_MAX ERR_MESSAGE_MAX

struct tarsum {
    bool computed;
    bool duplicates; /* a name occurs twice, so the sum depends on an undefined order */
    struct digest digest;
    char why[TARSUM_WHY_MAX]; /* why the sum wasn't computed, or "" */
};

/* Computes the tarsum of the layer fd, which may be compressed. The layer is untrusted, so it is
 * read in a separate process that may use 512 MiB and a minute and has no access to the registry.
 * No sum is computed if that isn't enough or the layer isn't a tar. Returns -1 on an error of our
 * own. */
int tarsum_of_fd(int fd, enum tarsum_version version, struct bytes json, struct tarsum *out,
                 struct err *err);

/* The same in this process, for tests. */
int tarsum_here(int fd, enum tarsum_version version, struct bytes json, struct tarsum *out,
                struct err *err);
