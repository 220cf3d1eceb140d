#pragma once

#include "process/server/pools.h"
#include "process/server/server.h"
#include "storage/kv/kv_slot.h"

/* A forked child that answers the requests of its pool, one at a time. Returns its exit code.
 * number: counts from 1, for ps. */
int worker_main(const struct server *s, pid_t master, enum pool_id pool, unsigned number,
                struct kv_slot *slot);
