#pragma once

#include "process/server/pools.h"
#include "process/server/server.h"
#include "process/server/child.h"

/* A forked child that answers the requests of its pool, one at a time. Returns its exit code.
 * number: counts from 1, for ps. */
int worker_main(const struct server *s, pid_t master, enum pool_id pool, unsigned number,
                const struct child_place *place);
