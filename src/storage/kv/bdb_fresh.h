#pragma once

#include <stdbool.h>
#include "storage/kv/kv_types.h"
#include "util/bytes.h"
#include "util/err.h"

/* A store that doesn't exist yet is made without waiting for the disk (struct bdb, is_fresh), since
 * the library would wait for it four times a table. All of it is synced at the end, before anything
 * is promised. A file marks it until then: a recovery that finds the mark removes what a crash has
 * left, and begins anew.
 *
 * The mark has the text of the file that names the tables of a finished store, and becomes that
 * file. */

/* Begins a new store, and marks it, if dir has none or one that was not finished. `list` is the
 * name of the file that names the tables, `text` its text. 1: the store is new; 0: there is one;
 * -1. */
int bdb_fresh_begin(const char *dir, const struct kv_table *tables, size_t n, const char *list,
                    struct bytes text, struct err *err);

/* Makes the new store durable, and takes the mark away. Its environment is closed. */
int bdb_fresh_end(const char *dir, const char *list, struct err *err);
