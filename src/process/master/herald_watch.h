#ifndef PROCESS_MASTER_HERALD_WATCH_H
#define PROCESS_MASTER_HERALD_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "process/server/server.h"
#include "process/server/start_throttle.h"

/* The master's side of the herald: there is one until we stop. Times are clock_mono_ms(). */
struct herald_watch {
    const struct server *server;
    pid_t pid; /* 0: not there */
    uint64_t start_at;
    struct start_throttle throttle;
    bool stopping;
    uint64_t term_at; /* the next SIGTERM */
    uint64_t kill_at;
};

void herald_watch_init(struct herald_watch *h, const struct server *s, uint64_t now);
/* What is due: starts it, ends it. */
void herald_watch_tick(struct herald_watch *h, uint64_t now);
/* True when pid was it; status is waitpid's. */
bool herald_watch_died(struct herald_watch *h, pid_t pid, int status, uint64_t now);
/* SIGHUP. */
void herald_watch_reload(const struct herald_watch *h);
/* Lets it come to its end (herald.h says how long that takes), or without delay. */
void herald_watch_stop(struct herald_watch *h, bool hurry, uint64_t now);
bool herald_watch_is_gone(const struct herald_watch *h);

#endif
