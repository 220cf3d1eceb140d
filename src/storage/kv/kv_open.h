#pragma once

#include "storage/kv/kv.h"
#include "storage/kv/kv_slot.h"

/* The store is a directory, or a database of PostgreSQL, whose `dir` is a URL: postgresql://...
 * (libpq's documentation, "Connection URIs"). True for such a URL. */
bool kv_open_is_remote(const char *dir);

/* Creates what is missing and repairs what a crash left. No other process may have the store open.
 * dir is relative to the working directory, which must not change while the store is open. Returns
 * at once if the filling needs no recovery. ERR_NO_SPACE: the disk is full; it works again once
 * there is room. 0; 1: it can be used, but a part of a table is lost, and err says which; -1. */
int kv_recover(const char *dir, const struct kv_table *tables, size_t n, struct err *err);

/* Opens a recovered store. tables: the same as for kv_recover; a table's number is its index there.
 * slot may be NULL (tests). lost: called when no process can use the store before a recovery; must
 * not return. NULL on failure: slot->in_db then stays true, so that the master recovers the store,
 * except after ERR_NO_SPACE, which a recovery doesn't cure. err->sys is ENOENT if a database has no
 * store yet. */
struct kv *kv_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
                   void (*lost)(const char *why), struct err *err);
/* kv may be NULL. */
void kv_close(struct kv *kv);
