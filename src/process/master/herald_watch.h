#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "process/server/server.h"
#include "process/server/start_throttle.h"
#include "util/loop.h"

/* The master's side of the herald: starts it, and starts another when it dies, until it is
 * stopped. Times are clock_mono_ms(). */
struct herald_watch {
    const struct server *server;
    struct loop *loop;
    struct loop_child child;
    struct start_throttle throttle;
    uint64_t start_at;
    bool stopping;
    uint64_t term_at; /* the next SIGTERM */
    uint64_t kill_at;
};

void herald_watch_init(struct herald_watch *h, const struct server *s, struct loop *loop);
/* Does what is due. */
void herald_watch_tick(struct herald_watch *h);
/* Sends it SIGHUP. */
void herald_watch_reload(const struct herald_watch *h);
/* Ends the herald (herald.h says how long that takes); hurry: without delay. */
void herald_watch_stop(struct herald_watch *h, bool hurry);
bool herald_watch_is_gone(const struct herald_watch *h);
