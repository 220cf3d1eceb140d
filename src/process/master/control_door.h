#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "process/commands/control.h"
#include "process/server/server.h"
#include "process/server/child.h"
#include "util/loop.h"

/* The master's side of process/commands/control.h: the socket that callers connect to. For each
 * request the master forks a child, which is among those that have the database open (children.h).
 * The socket takes root and the server's user, and nothing here waits for a caller. */

/* Requests that wait for a child, or for their packet, at once. */
#define CONTROL_DOOR_MAX SERVER_COMMANDS_MAX

/* Descriptors of a command: the caller's 0, 1 and 2, and its working directory. */
#define CONTROL_DOOR_FDS 4

struct control_door_request {
    struct control_door *door;
    int connection; /* -1: free */
    struct loop_fd readable;
    struct loop_timer limit;
    int fds[CONTROL_DOOR_FDS];
    size_t fds_n; /* how many of them are open; before a good packet, perhaps fewer */
    char packet[CONTROL_PACKET_MAX];
    size_t packet_n; /* 0: has not come yet */
};

struct control_door {
    struct loop *loop;
    int socket;
    struct loop_fd connections;
    struct control_door_request requests[CONTROL_DOOR_MAX];
};

void control_door_open(struct control_door *d, struct loop *loop, int socket);
/* A request that a child can be started for, or NULL. */
struct control_door_request *control_door_ready(struct control_door *d);
/* Closes the master's copies of a request's descriptors: a child has them (message NULL), or the
 * request is refused with the message. */
void control_door_done(struct control_door_request *r, const char *message);
/* Refuses all requests, and accepts no more. */
void control_door_close(struct control_door *d);

/* The arguments in the packet, which stay there. False: there are none, or too many. */
bool control_door_args(struct control *c, const struct control_door_request *r);
/* The child: runs the command of the request, and returns its exit code. */
int control_door_main(const struct server *s, pid_t master, const struct child_place *place,
                      const struct control_door_request *r);
