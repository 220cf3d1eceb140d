#pragma once

#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/loop.h"

/* The lines on stdout: events, and the output of hooks. If nobody reads stdout, lines that don't
 * fit in here are left out, which stderr tells, and the herald goes on with its work. */

#define HERALD_LOG_MAX (256u << 10)

struct herald_log {
    int fd;
    struct loop_fd writable;
    struct buf text; /* whole lines that aren't written yet */
    uint64_t lost;   /* lines left out since the last one that fitted */
};

void herald_log_init(struct herald_log *l, struct loop *loop, int fd);
void herald_log_free(struct herald_log *l);
/* Takes one or more whole lines. The loop writes them as soon as fd takes them. */
void herald_log_put(struct herald_log *l, struct bytes lines);
