#pragma once

#include "util/err.h"

/* The tar of an export (domain/transfer/export.h) as a directory. */

/* Puts what comes from `from` into the directory, which is empty: durable, and index.json last of
 * all, under its name only when everything is there. 0, -1; ERR_BAD_SIZE: it ended too early. */
int export_dir_write(int dir, int from, struct err *err);

/* Removes what it has made, whatever it came to. */
void export_dir_remove(int dir);
