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

/* Wakes (SIGCONT) that process, and those so many generations below it, if they are ours (nginx's
 * included) and have been stopped for longer than a third of limit_ms, and at the latest after two
 * thirds and two calls: a process that waits for one of them is not to reach limit_ms itself. Call
 * it each second or so. */
void stopped_process_wake(struct stopped_process *s, int pid, int generations, uint64_t limit_ms,
                          uint64_t now);

/* Generations below the master: nginx's guard, nginx, its workers. */
#define STOPPED_PROCESS_ALL 3
