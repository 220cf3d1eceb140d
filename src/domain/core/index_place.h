#pragma once

#include "domain/registry.h"
#include "storage/layers/index_store.h"

/* Where the indexes of layers are: in the data directory, or, if other servers may share the
 * database, beside the blobs of --blobs, so that each of them has the indexes that one has made. A
 * new index is made in the data directory in any case. */
struct index_store index_place(const struct registry *reg);
/* The same for these blobs. is_shared: other servers may share the database. */
struct index_store index_place_beside(const struct blob_store *blobs, bool is_shared);
