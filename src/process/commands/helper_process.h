#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/err.h"

/* A process that keeps the rights of the user who typed a command, and serves requests of the part
 * with the store, which runs as the server's user. A request is a text; the answer is an errno, or
 * 0, perhaps with a descriptor. */

#define HELPER_REQUEST_MAX 4096
#define HELPER_KEEP_MAX 4

/* Forks. The child calls serve(socket, arg) and ends. It keeps no descriptors but 2, the socket and
 * those of keep, whose numbers change; -1 stays. *socket: the caller's end. The child ends with the
 * caller, or when all copies of that are closed. */
int helper_process_start(int *const *keep, size_t n, void (*serve)(int socket, void *arg),
                         void *arg, int *socket, struct err *err);

/* In the child: the next request, of at most HELPER_REQUEST_MAX bytes. False: there is none. */
bool helper_process_next(int socket, char request[HELPER_REQUEST_MAX + 1]);
/* fd -1: without a descriptor. */
bool helper_process_answer(int socket, int sys, int fd);

/* For the part with the store: the child's errno; -1: the child is gone. *fd is set if a descriptor
 * came. */
int helper_process_ask(int socket, const char *request, int *fd);
