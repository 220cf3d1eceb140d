#pragma once

#include "domain/transfer/import_store.h"

/* A data directory of docker-registry (distribution 2.x, its driver "filesystem"):
 *
 *     blobs/sha256/ab/<hex>/data
 *     repositories/<name>/_manifests/revisions/sha256/<hex>/link      manifests that it has
 *     repositories/<name>/_manifests/tags/<tag>/current/link          "sha256:<hex>"
 *
 * It writes its files elsewhere and renames them, so a blob is never changed. */

/* files: of the directory that has blobs/ and repositories/. 0, -1 when it had to stop. */
int import_registry_run(struct import_store *s, const struct import_files *files, struct err *err);
