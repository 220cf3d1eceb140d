#pragma once

#include "domain/registry.h"

/* The directory that index/ is in (storage/layers/index_file.h): the data directory, or, if other
 * servers may share the database, that of --blobs, so that each of them has the indexes that one
 * has made. A new index is made in the data directory in any case. */
int index_place(const struct registry *reg);
