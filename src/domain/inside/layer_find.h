#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/inside/layer_merge.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"
#include "util/glob.h"

/* Finds names in an image by a pattern (util/glob.h). A pattern without a slash is compared with
 * the last part of each path; a pattern with a slash with the whole path. A slash at the end, which
 * doesn't count as one, selects directories. */
struct layer_pattern {
    struct glob glob;
    bool whole;
    bool dirs;
    /* A text that each match has in it; empty: none is known. Most names fail by it, in a fraction
     * of the time that the pattern takes. */
    char part[GLOB_MAX + 1];
    size_t part_n;
};

/* ERR_BAD_REQUEST: it is empty; ERR_TOO_LONG. */
int layer_find_pattern(struct layer_pattern *p, struct bytes text, struct err *err);

/* Does the entry match? path: without a leading slash. */
bool layer_find_fits(const struct layer_pattern *p, struct bytes path, enum layer_type type);

/* The time limit of a page, in milliseconds: an image can have millions of paths of 4 kB. */
#define LAYER_FIND_MS 8000
/* Paths that are looked at between two looks at the clock. */
#define LAYER_FIND_LOOKS 64

/* Writes the path behind which the next page begins, with a slash before it. */
int layer_find_note(struct buf *last, struct bytes path, struct err *err);

struct layer_find_page {
    struct bytes after; /* a path; "": from the first on */
    size_t n;           /* entries */
    uint64_t until;     /* clock_mono_ms() */
    /* Returns 0 to continue, 1 to stop, or -1. */
    int (*fn)(void *arg, struct bytes path, const struct layer_merge_node *node, struct err *err);
    void *arg;
    struct buf *last; /* of the caller */

    /* the result */
    bool more; /* there may be more entries, behind the path in *last, which begins with a slash */
};

/* Calls fn for the first matching entries behind a path, in byte order. 0; -1: ERR_CORRUPT;
 * ERR_NOT_BROWSABLE: the search would need more than merge->steps; or fn's. */
int layer_find(struct layer_merge *m, const struct layer_pattern *p, struct layer_find_page *page,
               struct err *err);
