#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/err.h"

/* Pages of the tags of a repository in orders that people like. A page in byte order costs what is
 * on it. For the other orders all tags are read: a tenth of a second for 100,000. */

enum tag_order {
    TAG_ORDER_NAME,    /* bytes */
    TAG_ORDER_NATURAL, /* runs of digits are numbers: 1.9, 1.10 */
    TAG_ORDER_TIME,    /* the last move first; at the same time, by name */
};

/* Tags that are read for a page in an order other than that of bytes; and in byte order, tags that
 * don't contain the text. A page of the former has ERR_TOO_LARGE then, one of the latter ends. */
#define TAG_SORTED_MAX 250000

struct tag_row {
    char name[RECORD_TAG_MAX + 1];
    struct rec_tag r;
};

struct tag_place {
    char name[RECORD_TAG_MAX + 1];
    uint64_t updated; /* only for TAG_ORDER_TIME */
};

struct tag_wanted {
    enum tag_order order;
    const char *text;       /* the tags contain it, case is ignored; NULL: all */
    struct tag_place after; /* the page begins behind it; name "": at the first */
    size_t limit;
};

struct tag_rows {
    struct tag_row *v; /* in the arena */
    size_t n;
    bool more;
    struct tag_place last; /* with more: the next page begins behind it */
};

/* repo: the repository's id. 0, or -1. */
int tag_sorted_page(const struct registry *reg, uint64_t repo, const struct tag_wanted *wanted,
                    struct arena *arena, struct tag_rows *page, struct err *err);

/* Compares names in natural order; different names are never equal. */
int tag_sorted_compare(const char *a, const char *b);
