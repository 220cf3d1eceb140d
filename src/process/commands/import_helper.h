#pragma once

#include <stdbool.h>
#include "util/err.h"

/* The part of "import" that keeps the caller's rights: a process that opens and links files of the
 * source. The part with the store runs as the server's user, usually as a child of the server's
 * master. Its descriptor 0 is a socket to the helper.
 *
 * The helper does little, because the server is not root: it opens a file or directory below the
 * source, without following symbolic links that lead out of it, and it links the file opened last
 * into layers/. It never writes to the source, and never changes owners or modes. */

/* Opens the source, the listing (NULL: none) and the data directory (NULL: nothing is linked), and
 * starts the helper. *socket: the caller's end. The helper ends when all copies of that are closed,
 * or this process ends. 0, or -1: one of them doesn't exist. */
int import_helper_start(const char *source, const char *listing, const char *dir, int *socket,
                        struct err *err);

/* For the part with the store: the functions of struct import_access. arg: points to the socket. */
int import_helper_open(void *arg, const char *path, bool links, int *fd, struct err *err);
int import_helper_listing(void *arg, int *fd, struct err *err);
int import_helper_link(void *arg, const char *to, struct err *err);
