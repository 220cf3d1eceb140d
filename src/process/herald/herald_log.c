#include "process/herald/herald_log.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "util/log.h"
#include "util/banned.h"

void
herald_log_init(struct herald_log *l, int fd)
{
    *l = (struct herald_log){.fd = fd};
    buf_init(&l->text, HERALD_LOG_MAX);
}

void
herald_log_free(struct herald_log *l)
{
    buf_free(&l->text);
}

void
herald_log_put(struct herald_log *l, struct bytes line)
{
    if (line.n > HERALD_LOG_MAX - l->text.n) {
        if (l->lost++ == 0)
            log_line(LOG_WARN, "nobody reads stdout: lines about events are left out", NULL);
        return;
    }
    if (l->lost > 0)
        log_line(LOG_WARN, "stdout is read again", "lines_left_out=%llu",
                 (unsigned long long)l->lost);
    l->lost = 0;
    buf_put(&l->text, line.p, line.n);
    if (!buf_ok(&l->text)) /* no memory */
        buf_reset(&l->text);
}

struct pollfd
herald_log_poll(const struct herald_log *l)
{
    return (struct pollfd){.fd = l->text.n > 0 ? l->fd : -1, .events = POLLOUT};
}

/* stdout is shared, so it can't be made not to block; but a pipe takes this much without blocking
 * when poll says that it may be written to (pipe(7)). */
static bool
write_some(struct herald_log *l, size_t *done)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    size_t n = l->text.n - *done;
    if (n == 0 || poll(&p, 1, 0) != 1)
        return false;
    ssize_t written = write(l->fd, l->text.p + *done, n > PIPE_BUF ? PIPE_BUF : n);
    if (written < 0 && errno != EINTR && errno != EAGAIN)
        *done = l->text.n; /* nobody will ever read it */
    if (written > 0)
        *done += (size_t)written;
    return written > 0;
}

void
herald_log_flush(struct herald_log *l)
{
    size_t done = 0;
    while (write_some(l, &done))
        ;
    if (done == 0)
        return;
    memmove(l->text.p, l->text.p + done, l->text.n - done);
    buf_cut(&l->text, l->text.n - done);
}
