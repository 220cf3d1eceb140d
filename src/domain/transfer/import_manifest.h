#pragma once

#include "domain/transfer/import_store.h"

/* Manifests and tags into the current repository. */

/* Imports a manifest and all that it refers to. media_type: what the source says, for a manifest
 * that doesn't name its own; "" if it says nothing. */
int import_manifest_take(struct import_store *s, const struct digest *d, const char *media_type,
                         struct err *err);

/* Imports the manifest, then points the tag to it. */
int import_manifest_tag(struct import_store *s, const char *tag, const struct digest *d,
                        const char *media_type, struct err *err);

/* The same for a source in which several names can become this one. The first image has it then,
 * and each further one is left out. */
int import_manifest_name(struct import_store *s, const char *tag, const struct digest *d,
                         const char *media_type, struct err *err);
