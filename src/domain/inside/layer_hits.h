#pragma once

#include <stdint.h>
#include "domain/inside/layer_find.h"
#include "storage/layers/layer_index.h"
#include "util/buf.h"
#include "util/err.h"

/* Finds the paths of one layer that match a pattern, without the layers of an image. The caller
 * leaves out what another layer hides. */

/* Bytes of the paths that one layer may have. */
#define LAYER_HITS_MAX ((size_t)64 << 20)

struct layer_hits {
    size_t n;         /* paths */
    uint64_t entries; /* that were read */
    bool is_over;     /* the time was over before all were read */
};

/* Appends each matching path to `paths`, without a leading slash and with a NUL behind it, in the
 * order of the index, until clock_mono_ms() is `until`. base: the last part of all paths that can
 * match, or of length 0 if it isn't known. 0; -1: ERR_CORRUPT. */
int layer_hits_find(struct layer_index *x, const struct layer_pattern *p, struct bytes base,
                    uint64_t until, struct buf *paths, struct layer_hits *out, struct err *err);
