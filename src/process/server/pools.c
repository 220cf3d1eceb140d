#include "process/server/pools.h"

const struct pool pools[POOL_COUNT] = {
    [POOL_API] = {"api", "api.sock", offsetof(struct options, workers)},
    [POOL_BULK] = {"bulk", "bulk.sock", offsetof(struct options, bulk_workers)},
    [POOL_GATE] = {"gate", "gate.sock", offsetof(struct options, hook_jobs), 5000},
    [POOL_LIST] = {"list", "list.sock", offsetof(struct options, browse_workers), 200},
    [POOL_BROWSE] = {"browse", "browse.sock", offsetof(struct options, browse_workers), 1000},
};

uint64_t
pool_workers(enum pool_id id, const struct options *o)
{
    return *(const uint64_t *)((const char *)o + pools[id].workers_at);
}
