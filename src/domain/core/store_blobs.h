#pragma once

#include "domain/registry.h"
#include "util/err.h"

/* A database and the files of its blobs belong together. What is said here of --blobs is true of
 * --database, too: then layers/ of the data directory may be the blob store. A database whose blobs
 * were outside of the data directory once (--blobs) has a number, META_BLOBS_ID, and the blob store
 * has the same one in its file registry-id. Without that, a directory that isn't mounted would look
 * like one whose blobs are lost, and of two registries each would remove the other's blobs. */

/* At the start. The first one with --blobs gives both the number, if each blob of the database is
 * in the blob store. If layers/registry-id of the data directory is there with --blobs, each blob
 * is looked for as well, and the file is removed: no later start without --blobs takes old files
 * in layers/ for the blobs. */
int store_blobs_begin(const struct registry *reg, struct err *err);
/* The number that the database has, or will have: a new one if there is none. It is durable there,
 * and the blob store doesn't have it yet. */
int store_blobs_choose(const struct registry *reg, uint64_t *id, struct err *err);
/* Do they agree? Writes nothing. */
int store_blobs_check(const struct registry *reg, struct err *err);
/* A move has copied the blobs to a store that has this number already: the first start with the new
 * database needs that store, and no other. */
int store_blobs_are_at(struct kv *kv, uint64_t number, struct err *err);
/* For a restore, when the database is there: the blob store, which is empty or holds what an
 * earlier restore has left, gets the database's number. */
int store_blobs_restore(const struct registry *reg, struct err *err);
