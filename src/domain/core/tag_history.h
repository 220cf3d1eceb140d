#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_tag_log.h"
#include "util/err.h"

/* Reads the history of a tag: its last TAG_LOG_KEPT moves. The names of users are valid UTF-8. */

struct tag_history_move {
    uint64_t number; /* the first move of a tag has 1 */
    struct rec_tag_log r;
};

struct tag_history {
    uint64_t repo;
    bool is_there;                           /* the tag exists, */
    struct rec_tag tag;                      /* and this is its record */
    struct tag_history_move v[TAG_LOG_KEPT]; /* the newest first */
    size_t n;
};

/* Of a tag that exists, or that was deleted. ERR_NO_REPOSITORY; ERR_NO_MANIFEST: there is neither
 * the tag nor a history of it. */
int tag_history_read(const struct registry *reg, const char *repository, const char *tag,
                     struct tag_history *h, struct err *err);
