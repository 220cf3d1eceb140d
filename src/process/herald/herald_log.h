#ifndef PROCESS_HERALD_HERALD_LOG_H
#define PROCESS_HERALD_HERALD_LOG_H

#include <poll.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"

/* The lines on stdout. Whoever should read them may not: then what doesn't fit in here is left out,
 * and said on stderr, and nothing waits. */

#define HERALD_LOG_MAX (256u << 10)

struct herald_log {
    int fd;
    struct buf text; /* whole lines, not written yet */
    uint64_t lost;   /* lines since they fitted last */
};

void herald_log_init(struct herald_log *l, int fd);
void herald_log_free(struct herald_log *l);
/* A line with its end, or several. */
void herald_log_put(struct herald_log *l, struct bytes line);
/* For poll: fd is -1 when there is nothing to write. */
struct pollfd herald_log_poll(const struct herald_log *l);
/* Writes what can be written without waiting. */
void herald_log_flush(struct herald_log *l);

#endif
