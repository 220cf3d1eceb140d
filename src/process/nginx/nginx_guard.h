#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "process/server/handover.h"
#include "process/server/privileges.h"
#include "util/loop.h"

/* If our master is killed, the kernel ends its children. If nginx's master is killed as well, its
 * workers survive without a parent, and keep the ports. So all of nginx is one process group; it
 * contains a process of ours that waits for the end of our master, and then kills the group. */
struct nginx_guard {
    struct loop *loop;
    const struct privileges *who;
    struct loop_child child;
    pid_t group; /* for setpgid of nginx; stays the same when the guard is replaced */
    int ends[2]; /* a pipe, of which only the master has the end to write to; -1 */
};

void nginx_guard_init(struct nginx_guard *g, struct loop *loop, const struct privileges *who);
/* Starts the guard if there is none. If it can't be started nginx runs without it, in a group of
 * its own. */
void nginx_guard_hold(struct nginx_guard *g);
/* It goes on under the program that takes our place. */
void nginx_guard_hand_over(const struct nginx_guard *g, struct handover *h);
void nginx_guard_take(struct nginx_guard *g, const struct handover *h);
/* Ends it, with the remaining members of the group. */
void nginx_guard_let_go(struct nginx_guard *g);
