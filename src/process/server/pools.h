#pragma once

#include <stddef.h>
#include <stdint.h>
#include "process/options/options.h"
#include "protocol/http/route.h"

/* The pools of workers. A worker does one thing at a time, so slow work has workers of its own, and
 * no pull waits behind a 10 GB push. nginx chooses the pool (conf/), as the route table does. */
struct pool {
    const char *name;   /* as ps shows it */
    const char *socket; /* in run/ of the data directory, or in the directory of --fastcgi */
    size_t workers_at;  /* the option with the number of workers */
    /* A client whose requests take longer than this has only a part of the pool (util/share.h); 0:
     * no limit, because docker pushes five layers at once. */
    uint64_t patience_ms;
    uint64_t workers; /* their number, if no option has it */
};

extern const struct pool pools[POOL_COUNT];

uint64_t pool_workers(enum pool_id id, const struct options *o);
