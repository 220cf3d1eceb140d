#pragma once

#include "domain/metrics/metrics.h"

/* Adds what is found out at the moment: the sockets of the pools, the room on the disk, whether the
 * server is ready. Never waits for the database. dirfd: the data directory. */
void metrics_ask(const struct metrics *m, int dirfd, struct metrics_numbers *out);

/* The room on the disk alone. */
void metrics_ask_disk(int dirfd, struct metrics_numbers *out);

/* True if all parts are well. */
bool metrics_ask_ready(const struct metrics *m, int dirfd);
