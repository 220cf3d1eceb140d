#pragma once

#include "process/server/privileges.h"
#include "util/err.h"

/* The directory of --fastcgi, in which an existing nginx finds the workers' sockets. dir: its full
 * name with a final slash (struct options, sockets). Messages say what to do. */

/* While the process is still root: makes it if it is missing, and gives it to `who` if it is new,
 * or root's and empty (made by systemd, for example). */
int socket_dir_open(const char *dir, const struct privileges *who, struct err *err);

/* As `who`: removes a socket that a killed server left. ERR_BUSY: a server still listens there.
 * Anything else than a socket stays, and is an error. */
int socket_dir_clear(const char *dir, const char *name, const struct privileges *who,
                     struct err *err);

/* nginx runs as `who` too, and uses full names. It can reach the sockets, since they could be made:
 * can it also reach the data directory (its full name)? */
int socket_dir_reach(const char *data, const struct privileges *who, struct err *err);
