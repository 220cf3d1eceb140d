#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Lines for syslog, in the form of syslog(3) for a daemon. Each is sent through a socket of its
 * own, because a process may close descriptors that it doesn't know. */

#define SYSLOG_SOCKET_DEFAULT "/dev/log"

/* severity: 0 to 7 (RFC 5424 6.2.1). n bytes without a line end, 2000 at most. False: it could not
 * be sent. */
bool syslog_socket_send(const char *path, int severity, const char *line, size_t n);
