#pragma once

#include <stddef.h>
#include <stdint.h>

/* A process that was stopped (SIGSTOP) neither works nor dies, and its waiters wait for ever.
 * The keeper looks for such processes, and the master looks at the keeper. A process that works, or
 * that a debugger holds, is left alone. */

#define STOPPED_PROCESS_MAX 64

struct stopped_process {
    uint64_t look_at; /* next */
    int seen[STOPPED_PROCESS_MAX];
    size_t n;
};

/* Wakes (SIGCONT) that process and its descendants down to that number of generations, if they are
 * ours (including nginx's) and have been stopped for more than a third of limit_ms, at the latest
 * after two thirds and two calls, so that a process which waits for one doesn't reach limit_ms
 * itself. Call it about once a second. */
void stopped_process_wake(struct stopped_process *s, int pid, int generations, uint64_t limit_ms,
                          uint64_t now);

/* Generations below the master: nginx's guard, nginx, its workers. */
#define STOPPED_PROCESS_ALL 3
