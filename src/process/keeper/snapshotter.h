#pragma once

#include "domain/registry.h"
#include "process/server/server.h"
#include "util/loop.h"

/* The keeper's part of snapshots (domain/backup/snapshot.h): when one is due, and that neither they
 * nor their logs fill the disk. A process of its own takes each of them, as for the command
 * "snapshot": the keeper asks the master for it. */
struct snapshotter *snapshotter_new(const struct server *s, const struct registry *reg,
                                    struct loop *loop);
void snapshotter_free(struct snapshotter *s);

/* Call it in each round of the keeper, before logs are removed. Never waits. */
void snapshotter_step(struct snapshotter *s);
