#pragma once

#include "domain/transfer/import_store.h"

/* Imports the format of "docker save" before docker 1.10 (docker's image-spec v1): for each image
 * ID/json, ID/layer.tar and ID/VERSION; and the file repositories, {"app":{"1.0":"ID"}}, which is
 * missing if no image has a name. The images become images of the first API. */

/* name: the repository of an image without a name. 1; 0: it is no such archive; -1 if the import
 * must stop. */
int import_saved_run(struct import_store *s, const struct import_files *files, const char *name,
                     struct err *err);
