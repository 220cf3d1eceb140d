#pragma once

#include "domain/transfer/import_store.h"

/* Imports the format of "docker save" before docker 25, and of "podman save" (docker's image-spec
 * v1.2, manifest.json): configs and uncompressed layers, without a manifest. This makes a manifest,
 * docker's schema 2, with the same bytes for the same image each time. Each layer must hash to its
 * diff id in the config. */

/* name: the repository of images without a name. 0, or -1 if the import must stop. */
int import_archive_run(struct import_store *s, const struct import_files *files, const char *name,
                       struct err *err);
