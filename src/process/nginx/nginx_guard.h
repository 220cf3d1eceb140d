#ifndef PROCESS_NGINX_NGINX_GUARD_H
#define PROCESS_NGINX_NGINX_GUARD_H

#include <stdbool.h>
#include <sys/types.h>
#include "process/server/privileges.h"

/* When our master is killed, the kernel ends its children. If nginx's master is killed as well, its
 * workers have no parent, and go on holding the ports. So all of nginx is one process group, which
 * contains a process of ours that only waits for our master's end, and then kills the group. */
struct nginx_guard {
    pid_t pid;   /* 0: not there */
    pid_t group; /* for setpgid of nginx; stays when the process is replaced */
    int end;     /* the end of a pipe that only the master has open; -1 */
};

#define NGINX_GUARD_NONE ((struct nginx_guard){.end = -1})

/* Starts the guard if there is none. False: it can't be started; nginx then runs without it, in a
 * group of its own. */
bool nginx_guard_hold(struct nginx_guard *l, const struct privileges *who);
/* True if pid was the guard. */
bool nginx_guard_died(struct nginx_guard *l, pid_t pid);
/* Ends it, with the remaining members of the group. */
void nginx_guard_let_go(struct nginx_guard *l);

#endif
