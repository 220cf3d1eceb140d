#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/err.h"

/* Runs work on untrusted input in a child process, because that work could use up all memory, never
 * end, or crash. The child has only a few of our descriptors, limits on its resources, and no
 * memory that it shares with another process, except the answer. When it runs out of memory, it
 * ends without a log line (util/mem.h), and its parent reports that. */

struct confined_limits {
    uint64_t memory;  /* bytes of address space, including what we use already */
    unsigned seconds; /* seconds of processor time */
    uint64_t file;    /* maximal size in bytes of a file that it writes; 0: it writes none */
    /* False: a caller waits for the child, and its time limit on the clock is four times `seconds`.
     * True: the child has the lowest priority and no limit on the clock, and the kernel kills it
     * first when the machine runs out of memory. */
    bool background;
};

/* Runs fn(arg, answer) in a child, which is a copy of this process, keeps the descriptor fd and
 * stderr, and dies when this process dies. `answer` has n bytes; the child gets them zeroed, and
 * they are copied back when fn has returned. The caller must not have threads. Returns 1 when fn
 * returned; 0 when the child died, and `why` says how; -1 when it could not be started. */
int confined_run(void (*fn)(void *arg, void *answer), void *arg, int fd,
                 const struct confined_limits *limits, void *answer, size_t n, char *why,
                 size_t why_n, struct err *err);

/* ---- the same without waiting ---- */

#define CONFINED_WHY_MAX 64

struct confined {
    pid_t pid;    /* 0: the child has been reaped */
    int ended;    /* for poll: readable once the child has ended */
    void *answer; /* shared with the child, which may have written anything */
    size_t n;
};

enum confined_end {
    CONFINED_DONE,   /* fn returned */
    CONFINED_SLOW,   /* it took too long */
    CONFINED_LARGE,  /* it wrote too much */
    CONFINED_GREEDY, /* it needed too much memory */
    CONFINED_DIED,   /* it exited or crashed */
    CONFINED_KILLED, /* from outside: by a person, or because the machine had no memory */
};

/* Starts the child, which keeps the descriptors fds, and 0 to 2. Returns 0 or -1. */
int confined_start(struct confined *c, void (*fn)(void *arg, void *answer), void *arg,
                   const int *fds, size_t fds_n, const struct confined_limits *limits, size_t n,
                   struct err *err);
/* Returns 1 when the child has ended, 0 while it runs. why: how it ended, in words. */
int confined_ended(struct confined *c, enum confined_end *end, char why[CONFINED_WHY_MAX]);
/* Kills the child if it runs, and releases the answer. */
void confined_stop(struct confined *c);
