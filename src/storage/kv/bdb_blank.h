#pragma once

#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

/* Damaged pages of a copy. A recovery that has to read one fails; a page of zeros is new to it: it
 * passes over what was logged of that page. So a damaged page is blank while the copy is recovered,
 * and damaged again afterwards, so that nobody takes it for one without records. */

#define BDB_BLANK_MAX 64

struct bdb_blank {
    struct bdb_blank_page {
        char file[32];
        uint32_t number, size;
        uint8_t *bytes;
    } v[BDB_BLANK_MAX];
    size_t n;
};

/* Makes that page of a table blank. 0; -1, also for the first page of a table, which a recovery
 * can't do without, and for one that is blank. size: of the table's pages. */
int bdb_blank_page(struct bdb_blank *b, const char *dir, const char *file, uint32_t number,
                   uint32_t size, struct err *err);

/* Makes them all damaged again, and forgets them. 0 or -1. */
int bdb_blank_put_back(struct bdb_blank *b, const char *dir, struct err *err);
