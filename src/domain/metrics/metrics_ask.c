#include "domain/metrics/metrics_ask.h"
#include <sys/statvfs.h>
#include "util/backlog.h"
#include "util/fdio.h"

bool
metrics_ask_ready(const struct metrics *m, int dirfd)
{
    struct readiness *r = metrics_readiness(m);
    char why[READINESS_WHY_MAX];

    for (int i = 0; i < READINESS_PARTS; i++)
        if (!readiness_is_well(r, (enum readiness_part)i, dirfd, why))
            return false;
    return true;
}

static void
set_number(struct metrics_numbers *out, enum metric metric, uint64_t value)
{
    out->known[metric] = true;
    out->v[metric][0] = value;
}

/* All sockets, or none: the kernel may not be asked (a sandbox without AF_NETLINK). */
static void
ask_sockets(const struct metrics *m, struct metrics_numbers *out)
{
    int kernel = backlog_open();
    bool known = kernel >= 0;

    for (unsigned i = 0; known && i < METRICS_POOLS; i++)
        known = backlog_get(kernel, metrics_socket(m, i), &out->v[METRIC_POOL_WAITING][i]) == 1;
    out->known[METRIC_POOL_WAITING] = known;
    fdio_close(kernel);
}

void
metrics_ask_disk(int dirfd, struct metrics_numbers *out)
{
    struct statvfs fs;

    if (fstatvfs(dirfd, &fs) == 0) {
        set_number(out, METRIC_DISK_FREE, (uint64_t)fs.f_bavail * fs.f_frsize);
        set_number(out, METRIC_DISK_SIZE, (uint64_t)fs.f_blocks * fs.f_frsize);
    }
}

void
metrics_ask(const struct metrics *m, int dirfd, struct metrics_numbers *out)
{
    ask_sockets(m, out);
    metrics_ask_disk(dirfd, out);
    set_number(out, METRIC_READY, metrics_ask_ready(m, dirfd));
    set_number(out, METRIC_START, metrics_started(m));
    set_number(out, METRIC_BUILD, 1);
}
