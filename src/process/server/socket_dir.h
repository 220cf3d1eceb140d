#ifndef PROCESS_SERVER_SOCKET_DIR_H
#define PROCESS_SERVER_SOCKET_DIR_H

#include "process/server/privileges.h"
#include "util/err.h"

/* The directory of --fastcgi, where somebody else's nginx finds the workers' sockets. dir: its full
 * name with a final slash (struct options, sockets). Messages say what to do. */

/* While still root: makes it if it isn't there, and gives it to `who`, when it is new or root's and
 * empty (one that systemd has made, say). */
int socket_dir_open(const char *dir, const struct privileges *who, struct err *err);

/* As `who`: removes a socket that a server which was killed has left. ERR_BUSY when a server still
 * listens there; what is no socket stays, and is an error. */
int socket_dir_clear(const char *dir, const char *name, const struct privileges *who,
                     struct err *err);

/* nginx runs as `who`, too, and knows full names only. That of the sockets is good when they could
 * be made: can it get to the data directory (its full name)? */
int socket_dir_reach(const char *data, const struct privileges *who, struct err *err);

#endif
