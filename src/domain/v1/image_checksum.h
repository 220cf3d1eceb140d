#ifndef DOMAIN_V1_IMAGE_CHECKSUM_H
#define DOMAIN_V1_IMAGE_CHECKSUM_H

#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* What a client of the first API says of an image that it pushed: the payload checksum (over JSON,
 * newline, and layer as it was sent), and the tarsum (over JSON and the files in the layer), as
 * docker's pkg/tarsum computes it. */

enum checksum_verdict {
    IMAGE_CHECKSUM_MATCH,
    IMAGE_CHECKSUM_MISMATCH,
    IMAGE_CHECKSUM_UNSURE, /* of such a layer no tarsum can be held against the client's */
};

struct checksum_subject {
    struct bytes json;
    const struct digest *layer;   /* of the layer's bytes */
    const struct digest *payload; /* computed when they came */
    int fd;                       /* the layer */
};

/* checksum, payload: the values of X-Docker-Checksum and X-Docker-Checksum-Payload, each one or a
 * list (commas, or JSON) of which one has to fit; NULL or "" for none. Both have to, if both are
 * given. A tarsum, of version 0, 1 or dev, is computed in a process of its own. It can't be when
 * the layer is no tar, or too odd or large: then the payload's checksum decides, and alone it is a
 * mismatch. Where a name is there twice, docker's order isn't defined, so another sum says nothing.
 * 0 and the verdict, or -1: ERR_BAD_IMAGE when nothing is given, and errors of our own. */
int image_checksum_compare(const struct checksum_subject *subject, const char *checksum,
                           const char *payload, enum checksum_verdict *verdict, struct err *err);

#endif
