#ifndef PROCESS_SERVER_POOLS_H
#define PROCESS_SERVER_POOLS_H

#include <stddef.h>
#include <stdint.h>
#include "process/options/options.h"
#include "protocol/http/route.h"

/* A worker does one thing at a time, so what takes seconds has workers of its own: nobody's pull
 * waits behind somebody's 10 GB push. nginx chooses the pool (conf/), by the
 * same column of the route table. */
struct pool {
    const char *name;   /* as ps shows it */
    const char *socket; /* in run/ of the data directory, or where --fastcgi says */
    size_t workers_at;  /* of the option that says how many */
};

extern const struct pool pools[POOL_COUNT];

uint64_t pool_workers(enum pool_id id, const struct options *o);

#endif
