#pragma once

#include <stdbool.h>
#include "domain/inside/browse.h"

/* How an image came to be, from its first layer on: what made each (OCI image-spec config.md,
 * "history"), or the first API's JSON of each image, joined with what their indexes say. */

struct browse_step {
    const char *created;    /* as the image says it; "" when it doesn't */
    const char *created_by; /* valid UTF-8, both in the arena */
    bool empty;             /* it made no layer; nothing below counts */
    size_t layer;           /* which of im->layers */
    bool known;             /* its files are */
    uint64_t files;
    bool visible_known;    /* no layer of the image is unbrowsable */
    uint64_t hidden_bytes; /* of its files: that later layers replaced or removed */
};

/* More than the layers that there may be, since many steps make none. */
#define BROWSE_HISTORY_MAX 4000

/* Walks the whole tree, twice if it has hard links. *steps in the arena. 0 or -1. */
int browse_history(struct browse_image *im, struct arena *arena, struct browse_step **steps,
                   size_t *n, struct err *err);
