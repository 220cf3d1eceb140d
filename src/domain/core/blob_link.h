#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "domain/registry.h"
#include "util/err.h"

#define BLOB_LINK_MAX 1024

/* Are blobs objects of S3? */
bool blob_link_is_used(const struct registry *reg);

/* What nginx needs besides the path of a blob's file (blob_file_path): nothing, or "?" and a query
 * with which S3 gives that object for a minute. 0, -1. */
int blob_link(const struct registry *reg, const char *path, char out[BLOB_LINK_MAX],
              struct err *err);
