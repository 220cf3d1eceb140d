#pragma once

#include <stddef.h>
#include "domain/backup/backup.h"
#include "util/err.h"

/* The part of "backup" that keeps the caller's rights: a process that makes and links files below
 * the directory of the backups. The part with the store runs as the server's user; its descriptor 0
 * is a socket to the helper. It gets a descriptor of each new file, and no way to an older one. */

/* Makes the directory if it is missing, locks it, and starts the helper (helper_process.h). newest:
 * the name of the newest backup in it, complete or not; "": it has none.
 * registry: the data directory; a directory inside it is refused. keep: complete backups that stay
 * when this one is complete; 0: all. Waits up to wait_ms for another backup that goes there,
 * and says so on a terminal; ERR_BUSY: it goes on. */
int backup_helper_start(const char *dir, const char *registry, size_t keep, uint64_t wait_ms,
                        char newest[BACKUP_TIME_MAX], int *socket, struct err *err);

/* For the part with the store: the functions of struct backup_place. arg: points to the socket. */
int backup_helper_have(void *arg, const char *name, uint64_t size, struct err *err);
int backup_helper_have_same(void *arg, const char *name, const struct digest *digest,
                            struct err *err);
int backup_helper_create(void *arg, const char *name, unsigned mode, int *fd, struct err *err);
int backup_helper_keep(void *arg, struct err *err);
int backup_helper_finish(void *arg, const char *name, struct err *err);
