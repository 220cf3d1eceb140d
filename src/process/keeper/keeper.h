#pragma once

#include "process/server/server.h"
#include "process/server/child.h"

/* A forked child that does the background work which needs the database: checkpoints, removal of
 * logs, and what upkeep_step does. Returns its exit code. */
int keeper_main(const struct server *s, pid_t master, const struct child_place *place);
