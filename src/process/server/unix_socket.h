#pragma once

#include "util/err.h"

/* Unix sockets, for this process's user alone. path: full, or relative to the working directory.
 * type: SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK if wanted; SOCK_CLOEXEC is always set. */

/* The descriptor, or -1. */
int unix_socket_listen(const char *path, int type, int backlog, struct err *err);

/* The descriptor, or -1: err->sys is errno (ENOENT and ECONNREFUSED: nobody listens). */
int unix_socket_connect(const char *path, int type, struct err *err);
