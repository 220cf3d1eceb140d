#pragma once

#include <stdbool.h>
#include "domain/inside/browse.h"

/* The history of an image, from its first layer on: the steps in its config (OCI image-spec
 * config.md, "history"), or the JSON of each v1 image, joined with the statistics of the layers'
 * indexes. */

struct browse_step {
    const char *created;    /* as in the image; "" if it isn't there */
    const char *created_by; /* valid UTF-8; both are in the arena */
    bool empty;             /* it made no layer; the members below are not set */
    size_t layer;           /* index of im->layers */
    bool known;             /* its files are */
    uint64_t files;
    bool visible_known;    /* all layers of the image are browsable, so `visible` is known */
    uint64_t hidden_bytes; /* bytes of its files that later layers replaced or removed */
};

/* Larger than the limit of layers, since many steps make no layer. */
#define BROWSE_HISTORY_MAX 4000

/* Reads the history. Walks the whole tree, twice if it has hard links. *steps is in the arena. 0 or
 * -1. */
int browse_history(struct browse_image *im, struct arena *arena, struct browse_step **steps,
                   size_t *n, struct err *err);
