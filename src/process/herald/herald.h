#pragma once

#include "process/server/server.h"

#define HERALD_GRACE_MS 4000

/* A forked child that does not need the database, and so survives its recoveries: it prints the log
 * of events on stdout, runs hooks, and serves the listeners to events. The keeper tells it what to
 * print and run (herald_protocol.h). On SIGTERM it ends all connections of listeners at once, and
 * gives hooks that run HERALD_GRACE_MS to end; SIGUSR1 cuts that short. A hook that it cuts runs
 * again after the next start. Returns its exit code. */
int herald_main(const struct server *s, pid_t master);
