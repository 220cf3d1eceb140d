#pragma once

#include "domain/metrics/metrics.h"
#include "protocol/http/call.h"

/* The registry's numbers (domain/metrics), in the arena of the request, for a request that only an
 * administrator may make. Rights of a token don't count: none of them stands for that. -1:
 * access_check_administrator; the arena is full. */
int v2_numbers(struct call *c, struct metrics_numbers **out, struct err *err);
