#pragma once

#include <stdbool.h>
#include "util/err.h"

/* Where the processes of a pool hand each other descriptors, and see whether one of them is idle. A
 * descriptor that nobody has taken yet stays here, even when the process that gave it dies. Made
 * before the fork. */
struct fd_exchange {
    int give, take; /* two ends; `take` can be polled */
    struct fd_exchange_places *places;
    unsigned n;
};

/* n: processes, at least 1. */
int fd_exchange_make(struct fd_exchange *x, unsigned n, struct err *err);
/* Takes these ends instead, with what waits in them; -1: keeps its own. */
void fd_exchange_adopt(struct fd_exchange *x, int give, int take);
void fd_exchange_close(struct fd_exchange *x);

/* Gives a descriptor to whichever process takes it first. True: ours is closed. False: there was no
 * room within patience_ms milliseconds (0: at once), and the descriptor stays ours. */
bool fd_exchange_give(const struct fd_exchange *x, int fd, int patience_ms);
/* A descriptor (with close-on-exec) that another process gave, or -1. Never blocks. */
int fd_exchange_take(const struct fd_exchange *x);

/* A process, which has a place from 0, says whether it waits for work. It says so when it starts,
 * too, because the process before it may have died. */
void fd_exchange_set_idle(const struct fd_exchange *x, unsigned place, bool idle);
bool fd_exchange_others_idle(const struct fd_exchange *x, unsigned place);
