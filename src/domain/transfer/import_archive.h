#pragma once

#include "domain/transfer/import_store.h"

/* What "docker save" wrote before docker 25, and "podman save" writes still (docker's image-spec
 * v1.2, manifest.json): configs and layers without a manifest, the layers not compressed. The
 * manifest is made here, docker's schema 2, always the same bytes for the same image; the layers
 * stay as they are. A layer has to hash to the diff id that the config has for it. */

/* name: the repository of images without a name. 0, -1 when it had to stop. */
int import_archive_run(struct import_store *s, const struct import_files *files, const char *name,
                       struct err *err);
