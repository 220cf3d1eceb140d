#pragma once

#include <stdint.h>
#include <sys/types.h>

/* How many connections wait in a listening unix socket to be accepted. The kernel tells this of any
 * socket by its inode (sock_diag(7)), so the descriptor need not be open here. */

/* Opens the kernel's side; -1 if that isn't permitted. */
int backlog_open(void);
/* inode: of the socket, by fstat. 1 and *n; 0: the kernel doesn't say. */
int backlog_get(int kernel, ino_t inode, uint64_t *n);
