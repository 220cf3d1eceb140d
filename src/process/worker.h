#ifndef PROCESS_WORKER_H
#define PROCESS_WORKER_H

#include "process/pools.h"
#include "process/server.h"
#include "storage/kv.h"

/* A forked child that answers requests of its pool, one at a time. Returns its exit code. number:
 * from 1, for ps. */
int worker_main(const struct server *s, pid_t master, enum pool_id pool, unsigned number,
                struct kv_slot *slot);

#endif
