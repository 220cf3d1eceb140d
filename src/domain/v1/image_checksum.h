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
    const struct digest *payload; /* computed while they came */
    int fd;                       /* the layer */
};

/* checksum, payload: the values of X-Docker-Checksum and X-Docker-Checksum-Payload, each a value or
 * a list (commas, or JSON) of which one has to fit; NULL or "" for none. If both are given, both
 * have to fit.
 *
 * A tarsum, of version 0, 1 or dev, is computed in a confined process. It can't be computed when
 * the layer is no tar, or is too unusual or too large. Then the payload's checksum decides; without
 * one it is a mismatch. If a layer contains a name twice, its tarsum is undefined, and any value is
 * accepted. Each of the two versions is computed at most once.
 *
 * 0 and the verdict, or -1: ERR_BAD_IMAGE if no checksum is given, or an error of ours. */
int image_checksum_compare(const struct checksum_subject *subject, const char *checksum,
                           const char *payload, enum checksum_verdict *verdict, struct err *err);
