#pragma once

#include "domain/transfer/import_store.h"

/* An OCI layout (image-spec "image-layout.md"), as a directory or in a tar: what skopeo, podman,
 * buildah, umoci and docker from 25 on write. index.json names the images by the annotations
 * io.containerd.image.name, or org.opencontainers.image.ref.name, which may be a tag alone. What
 * has no name (referrers, say) comes without a tag into the repository of the others, if that is
 * one; the only image of a layout is "latest".
 *
 * Tools write a blob elsewhere and rename it, so it is never changed. */

/* name: the repository of what has none. 0, -1 when it had to stop. */
int import_layout_run(struct import_store *s, const struct import_files *files, const char *name,
                      struct err *err);
