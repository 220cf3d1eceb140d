#ifndef UTIL_CONFINED_H
#define UTIL_CONFINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/err.h"

/* Work on what strangers sent that could take all memory, or for ever, or end the process: in a
 * child that has few descriptors of ours, a limit for each, and no memory shared with anybody but
 * the answer. */

struct confined_limits {
    uint64_t memory;  /* bytes of address space, ours included */
    unsigned seconds; /* of the processor */
    uint64_t file;    /* bytes of a file that it writes; 0: it writes none */
    /* False: it is waited for, and has four times as long on the clock. True: it has the lowest
     * priority, as long on the clock as that takes, and is the first to go when the machine has no
     * memory left. */
    bool background;
};

/* Runs fn(arg, answer) in a child, a copy of this process, which keeps the descriptor fd and stderr
 * and dies with us; answer is n bytes, zeroed before, and copied to ours when fn returned. The
 * caller has no threads. 1 done; 0 the child died, and why says how; -1 it couldn't be started. */
int confined_run(void (*fn)(void *arg, void *answer), void *arg, int fd,
                 const struct confined_limits *limits, void *answer, size_t n, char *why,
                 size_t why_n, struct err *err);

/* ---- the same, without waiting ---- */

#define CONFINED_FDS_MAX 4
#define CONFINED_WHY_MAX 64

/* The words of confined_ended and confined_run for a child that reached a limit. */
#define CONFINED_NO_MEMORY "it needed too much memory"
#define CONFINED_NO_TIME "it took too long"
#define CONFINED_NO_FILE "it wrote too much"

struct confined {
    pid_t pid;    /* 0: there is none any more */
    int ended;    /* a descriptor that can be read once it has ended, for poll */
    void *answer; /* shared with it: whatever is in there may be nonsense */
    size_t n;
};

enum confined_end {
    CONFINED_DONE,   /* fn returned */
    CONFINED_DIED,   /* by what it did, or a limit */
    CONFINED_KILLED, /* by somebody else: a person, or for want of memory */
};

/* It keeps those descriptors, 0 to 2, and the limits. 0 or -1. */
int confined_start(struct confined *c, void (*fn)(void *arg, void *answer), void *arg,
                   const int *fds, size_t fds_n, const struct confined_limits *limits, size_t n,
                   struct err *err);
/* 1 when it has ended, 0 while it runs. why: how, in words. */
int confined_ended(struct confined *c, enum confined_end *end, char why[CONFINED_WHY_MAX]);
/* Kills it, if it runs, and forgets the answer. */
void confined_stop(struct confined *c);

#endif
