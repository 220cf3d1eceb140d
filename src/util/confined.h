#ifndef UTIL_CONFINED_H
#define UTIL_CONFINED_H

#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

/* Work on what strangers sent that could take all memory, or for ever, or end the process: in a
 * child that has one descriptor of ours, a limit for each, and no memory shared with anybody but
 * the answer. */

struct confined_limits {
    uint64_t memory;  /* bytes of address space, ours included */
    unsigned seconds; /* of the processor; four times as long on the clock */
};

/* Runs fn(arg, answer) in a child, a copy of this process, which keeps the descriptor fd and stderr
 * and dies with us; answer is n bytes, zeroed before, and copied to ours when fn returned. The
 * caller has no threads. 1 done; 0 the child died, and why says how; -1 it couldn't be started. */
int confined_run(void (*fn)(void *arg, void *answer), void *arg, int fd,
                 const struct confined_limits *limits, void *answer, size_t n, char *why,
                 size_t why_n, struct err *err);

#endif
