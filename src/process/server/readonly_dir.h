#pragma once

#include "process/server/datadir.h"

/* A data directory that can't be written, because its file system is mounted read-only. The server
 * then works in a directory of its own below $TMPDIR (/tmp): copies of db/ and auth/, since the
 * database needs to write even for reading, links to what is in layers/ and index/, and its own
 * run/ and uploads/. */

/* Is d such a directory? Costs two system calls. */
bool readonly_dir_is(const struct datadir *d);

/* As the user that the process has become. Makes the directory, and lets d->fd, and the working
 * directory, be that one; d->name stays. A directory that a killed server left is replaced. Fails
 * if the copy would leave less room there than the database's margin. *original: a descriptor that
 * the caller closes; it keeps the real directory locked. */
int readonly_dir_open(struct datadir *d, const struct privileges *who, int *original,
                      struct err *err);

/* Removes it. */
void readonly_dir_remove(const struct datadir *d);
