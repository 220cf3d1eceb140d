#pragma once

#include <stddef.h>
#include <stdint.h>

/* A process that was stopped (SIGSTOP) neither works nor dies, and its waiters wait for ever.
 * Master and keeper look for such processes, since it may be one of the two. A process that works,
 * or that a debugger holds, is left alone. */

#define STOPPED_PROCESS_MAX 64

struct stopped_process {
    uint64_t look_at; /* next */
    int seen[STOPPED_PROCESS_MAX];
    size_t n;
};

/* Wakes (SIGCONT) those of our processes, nginx's included, that have been stopped for longer than
 * a third of limit_ms, and at the latest after two thirds and two calls: a process that waits for
 * one of them is not to reach limit_ms itself. Call it each second or so. master: the pid of
 * our master. */
void stopped_process_wake(struct stopped_process *s, int master, uint64_t limit_ms, uint64_t now);
