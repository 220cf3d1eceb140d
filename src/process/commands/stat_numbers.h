#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/metrics/metrics.h"
#include "process/commands/control.h"

/* The commands stat and top show these: the numbers of /metrics, and the parts of /readyz. */
struct stat_numbers {
    bool is_running; /* a server runs; else only what is stored is known */
    struct metrics_numbers m;
    uint64_t at; /* clock_wall_ms() */
    struct stat_part {
        bool is_well;
        char why[READINESS_WHY_MAX];
    } parts[READINESS_PARTS];
};

/* With a server it only reads memory. Without one it counts all tags and blobs, and calls show now
 * and then. 0, or -1, also if the caller has gone. */
int stat_numbers_get(struct control *c, struct stat_numbers *out, void (*show)(void *arg),
                     void *arg, struct err *err);

/* The sum of all statuses of a class: 2 for 200 to 299. */
uint64_t stat_numbers_requests(const struct stat_numbers *n, int class);
