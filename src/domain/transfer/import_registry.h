#pragma once

#include "domain/transfer/import_store.h"

/* Imports a data directory of docker-registry (distribution 2.x, driver "filesystem"):
 *
 *     blobs/sha256/ab/<hex>/data
 *     repositories/<name>/_manifests/revisions/sha256/<hex>/link      manifests that it has
 *     repositories/<name>/_manifests/tags/<tag>/current/link          "sha256:<hex>"
 *
 * docker-registry writes to another file and renames it, so a blob never changes. */

/* files: of the directory with blobs/ and repositories/. 0, or -1 if the import must stop. */
int import_registry_run(struct import_store *s, const struct import_files *files, struct err *err);
