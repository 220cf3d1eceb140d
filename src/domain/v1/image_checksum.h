#pragma once

#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The checksums that a client of the first API sends for an image that it pushed: the payload
 * checksum (over JSON, newline, and the layer as it was sent), and the tarsum (over JSON and the
 * files in the layer), as docker's pkg/tarsum computes it. */

enum checksum_verdict {
    IMAGE_CHECKSUM_MATCH,
    IMAGE_CHECKSUM_MISMATCH,
    IMAGE_CHECKSUM_UNSURE, /* no tarsum of this layer can be compared with the client's */
};

struct checksum_subject {
    struct bytes json;
    const struct digest *layer;   /* of the layer's bytes */
    const struct digest *payload; /* computed while the layer was received */
    int fd;                       /* the layer */
};

/* checksum, payload: the headers X-Docker-Checksum and X-Docker-Checksum-Payload; NULL or "": none.
 * Each is a value, or a list (with commas, or JSON) of which one value must match. If both are
 * given, both must match.
 *
 * A tarsum (version 0, 1 or dev) is computed in a confined process. If it can't be computed,
 * because the layer isn't a tar, or is too unusual or too large, the payload checksum decides;
 * without one, the result is a mismatch. If a layer contains a name twice, its tarsum is undefined,
 * and any value is accepted. Each of the two versions is computed at most once.
 *
 * 0 and the verdict, or -1: ERR_BAD_IMAGE if no checksum is given, or an error of ours. */
int image_checksum_compare(const struct checksum_subject *subject, const char *checksum,
                           const char *payload, enum checksum_verdict *verdict, struct err *err);
