#pragma once

#include "domain/transfer/import_store.h"

/* Imports an OCI layout (image-spec "image-layout.md"), a directory or a tar. skopeo, podman,
 * buildah, umoci, and docker since version 25 write it. index.json names the images by the
 * annotations io.containerd.image.name, or org.opencontainers.image.ref.name, which may be a tag
 * alone. A manifest without a name, such as a referrer, is imported without a tag if all others are
 * in one repository. The only image of a layout gets the tag "latest".
 *
 * These tools write a blob to another file and rename it, so a blob never changes. */

/* name: the repository of images without a name. 0, or -1 if the import must stop. */
int import_layout_run(struct import_store *s, const struct import_files *files, const char *name,
                      struct err *err);
