#pragma once

#include "util/err.h"

/* The half of "import" that keeps the rights of whoever typed it: a process that opens the files of
 * the source, and links them. The other half, with the store, is the server's user, and mostly a
 * child of the server's master; between them is a socket, which it gets as its descriptor 0.
 *
 * What it may be asked for is little, since the server isn't root: to open a file or directory
 * below the source, to which no symbolic link leads; and to give the one that was opened last a
 * second name below layers/. It never writes to the source, nor changes its owners and modes. */

/* Opens the source, the listing (NULL: none) and the data directory by their names, and starts it;
 * *socket is the caller's end. It ends when that is closed everywhere, or this process ends. 0, or
 * -1: one of them isn't there. */
int import_helper_start(const char *source, const char *listing, const char *dir, int *socket,
                        struct err *err);

/* The other half asks: as struct import_access has them. arg: points to the socket. */
int import_helper_open(void *arg, const char *path, int *fd, struct err *err);
int import_helper_listing(void *arg, int *fd, struct err *err);
int import_helper_link(void *arg, const char *to, struct err *err);
