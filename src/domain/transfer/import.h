#pragma once

#include "domain/registry.h"
#include "domain/transfer/import_access.h"
#include "util/err.h"

/* Imports the images of another registry or tool: a data directory of docker-registry, an OCI
 * layout, the output of "docker save", or a directory of the original docker-registry-server.
 *
 * The import trusts nothing of the source: it hashes every document and blob, checks names as a
 * push does, and requires all that a manifest refers to. It leaves out what fails a check,
 * complains of it, and imports the rest.
 *
 * Each manifest, tag and blob is committed by itself, as in a push, but without events and hooks.
 * Content that the store has is neither read nor written, so a repeated import continues where an
 * earlier one stopped. */

/* name: the last part of the source's path, for images without a name. prefix: put before the name
 * of each repository, with a slash; or NULL. Returns 0 when all that passed its checks is in the
 * store (see counts->left_out); -1 when the import had to stop, and what was counted is in the
 * store. */
int import_run(const struct registry *reg, const struct import_access *access, const char *name,
               const char *prefix, struct import_counts *counts, struct err *err);
