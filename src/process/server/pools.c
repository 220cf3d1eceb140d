#include "process/server/pools.h"
#include "domain/metrics/metrics_table.h"

_Static_assert((int)POOL_COUNT == METRICS_POOLS, "see domain/metrics/metrics_table.c");

const struct pool pools[POOL_COUNT] = {
    [POOL_API] = {"api", "api.sock", offsetof(struct options, workers)},
    [POOL_BULK] = {"bulk", "bulk.sock", offsetof(struct options, bulk_workers)},
    [POOL_GATE] = {"gate", "gate.sock", offsetof(struct options, hook_jobs), 5000},
    [POOL_LIST] = {"list", "list.sock", offsetof(struct options, browse_workers), 200},
    [POOL_BROWSE] = {"browse", "browse.sock", offsetof(struct options, browse_workers), 1000},
    [POOL_STATUS] = {"status", "status.sock", .workers = 1},
};

uint64_t
pool_workers(enum pool_id id, const struct options *o)
{
    if (pools[id].workers > 0)
        return pools[id].workers;
    return *(const uint64_t *)((const char *)o + pools[id].workers_at);
}
