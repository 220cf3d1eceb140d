#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "domain/inside/layer_merge.h"
#include "util/bytes.h"
#include "util/err.h"
#include "util/glob.h"

/* Names in an image, by a pattern (util/glob.h). Without a slash it is for the last name of a path,
 * wherever it is; with one for the whole path from the root on. A slash at its end, which doesn't
 * count for that, asks for directories only. */
struct layer_pattern {
    struct glob glob;
    bool whole;
    bool dirs;
};

/* ERR_BAD_REQUEST: it is empty; ERR_TOO_LONG. */
int layer_find_pattern(struct layer_pattern *p, struct bytes text, struct err *err);
/* path: of what is there, without a slash in front. */
bool layer_find_fits(const struct layer_pattern *p, struct bytes path, enum layer_type type);

/* Calls fn for the first n entries behind the path `after` ("": from the first on) that the pattern
 * fits, in the byte order of paths; 1 from fn: that was enough; -1 stops. *more: there are others,
 * or may be. 0; -1: ERR_CORRUPT; ERR_NOT_BROWSABLE: there is more to look through than
 * merge->steps; or fn's. */
int layer_find(struct layer_merge *m, const struct layer_pattern *p, struct bytes after, size_t n,
               int (*fn)(void *arg, struct bytes path, const struct layer_merge_node *node,
                         struct err *err),
               void *arg, bool *more, struct err *err);
