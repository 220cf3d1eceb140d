#ifndef PROCESS_NGINX_NGINX_GUARD_H
#define PROCESS_NGINX_NGINX_GUARD_H

#include <stdbool.h>
#include <sys/types.h>
#include "process/server/privileges.h"

/* When the master is killed, the kernel ends its children; those of nginx's master are nobody's
 * then if that one was killed as well, and go on holding the ports. So all of nginx is one process
 * group, in which there is a process of ours that does nothing but wait for the master's end, and
 * then kills the group. */
struct nginx_guard {
    pid_t pid;   /* 0: not there */
    pid_t group; /* for setpgid of nginx; stays when the process is replaced */
    int end;     /* a pipe's, that only the master has open; -1 */
};

#define NGINX_GUARD_NONE ((struct nginx_guard){.end = -1})

/* Starts it if it isn't there. False: it can't; nginx works without, and the group is its own. */
bool nginx_guard_hold(struct nginx_guard *l, const struct privileges *who);
/* True when pid was it. */
bool nginx_guard_died(struct nginx_guard *l, pid_t pid);
/* Ends it, with whatever is left of the group. */
void nginx_guard_let_go(struct nginx_guard *l);

#endif
