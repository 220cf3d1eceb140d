#ifndef PROCESS_LEASH_H
#define PROCESS_LEASH_H

#include <stdbool.h>
#include <sys/types.h>
#include "process/privileges.h"

/* When the master is killed, the kernel ends its children; those of nginx's master are nobody's
 * then if that one was killed as well, and go on holding the ports. So all of nginx is one process
 * group, in which there is a process of ours that does nothing but wait for the master's end, and
 * then kills the group. */
struct leash {
    pid_t pid;   /* 0: not there */
    pid_t group; /* for setpgid of nginx; stays when the process is replaced */
    int end;     /* a pipe's, that only the master has open; -1 */
};

#define LEASH_NONE ((struct leash){.end = -1})

/* Starts it if it isn't there. False: it can't; nginx works without, and the group is its own. */
bool leash_hold(struct leash *l, const struct privileges *who);
/* True when pid was it. */
bool leash_died(struct leash *l, pid_t pid);
/* Ends it, with whatever is left of the group. */
void leash_let_go(struct leash *l);

#endif
