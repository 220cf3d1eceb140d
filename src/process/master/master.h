#pragma once

#include "process/server/server.h"

/* Starts and watches all processes of a prepared server until it is told to stop or can't go on.
 * Prints "Server is listening on port N" (or "on DIR/api.sock") once the first request can be
 * answered. SIGTERM and SIGINT stop it within 10 s (a second one within 3), SIGHUP makes it read
 * certificates and users anew. 0, or -1 when it ended because something is broken. Nothing that it
 * started is left. */
int master_run(struct server *s, struct err *err);
