#pragma once

#include "util/err.h"

/* The tar of an export (domain/transfer/export.h) as a directory. */

/* Unpacks the tar from `from` into the empty directory, durably. index.json is written last, under
 * another name, and then renamed. 0, -1; ERR_BAD_SIZE: the tar is truncated. */
int export_dir_write(int dir, int from, struct err *err);

/* Removes all files that export_dir_write made, also after a failure. */
void export_dir_remove(int dir);
