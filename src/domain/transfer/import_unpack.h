#pragma once

#include "domain/transfer/import_store.h"
#include "storage/layers/inflate.h"

/* A compressed file is unpacked into a file without a name in uploads/, because an import reads a
 * tar in any order. The room on the disk and the bounds of layers limit it (layer_scan.h). */

/* Returns the unpacked file, which the caller closes; or -1: ERR_BAD_IMAGE when it is damaged, or
 * expands too much; or an error that ends the import. */
int import_unpack(struct import_store *s, int fd, enum inflate_format format, struct err *err);
