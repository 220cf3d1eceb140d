#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/inside/browse.h"
#include "util/buf.h"
#include "util/bytes.h"

/* The files of one layer that a container doesn't see, because a later layer replaces or removes
 * them: bytes that each pull transfers for nothing. Directories are left out. */

/* Calls fn for up to n of them behind the path `after` ("": from the first on), in byte order.
 * path: without a leading slash. node: as in the layer alone. fn returns 0 to continue, 1 to stop,
 * or -1. again: called before the walk begins anew at `after`, because an index had to be made
 * again. The list also ends at `until` (clock_mono_ms(), LAYER_FIND_MS from now), perhaps before
 * anything is found. *more: there may be more, behind the path in *last, which begins with a slash.
 * Afterwards the image is restricted to that layer. 0; -1: also ERR_NOT_BROWSABLE, for this layer
 * or a later one. */
struct browse_hidden {
    size_t layer; /* index of im->layers */
    struct bytes after;
    size_t n;
    uint64_t until;
    int (*fn)(void *arg, struct bytes path, const struct layer_merge_node *node, bool replaced,
              struct err *err);
    void (*again)(void *arg);
    void *arg;
    struct buf *last; /* of the caller */
    bool more;
};
int browse_hidden_list(struct browse_image *im, struct browse_hidden *h, struct err *err);
