#pragma once

#include <sys/types.h>
#include "util/err.h"

/* The packet by which a process asks the running server for the work of a command, and the one that
 * comes back: an exit code (process/commands/command.h) in a byte, and a message unless it is 0. */

#define CONTROL_CALL_PACKET_MAX 16384

/* Connects to the server of the working directory, a data directory. A descriptor; -1 and errno:
 * nobody listens. */
int control_call_connect(void);

/* The same with rights of root, in a directory that may be another user's: only to a socket that
 * belongs to this user, whatever links lead elsewhere. */
int control_call_connect_as_root(uid_t owner);

/* Sends args (NULL at the end) with the descriptors of stdin, stdout, stderr and of the working
 * directory. 0 or -1. */
int control_call_send(int connection, const int fds[4], const char *const *args, struct err *err);

/* Waits for the server's answer. Its exit code, with the message in err unless it is 0; -1, and err
 * is as before: the connection ended without one. */
int control_call_result(int connection, struct err *err);

/* The server's side: answers without waiting. A caller that has gone is no error. */
void control_call_answer(int connection, int code, const char *message);
