#include "process/herald/herald_log.h"
#include <errno.h>
#include <limits.h>
#include <unistd.h>
#include "util/log.h"

/* stdout is shared with other processes, so it can't be made non-blocking. But a pipe takes this
 * much without blocking when poll says that it can be written to (pipe(7)). */
static bool
write_log_piece(struct herald_log *l, size_t *done)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    size_t n = l->text.n - *done;
    ssize_t written;

    if (n == 0 || poll(&p, 1, 0) != 1)
        return false;
    written = write(l->fd, l->text.p + *done, n > PIPE_BUF ? PIPE_BUF : n);
    if (written < 0 && errno != EINTR && errno != EAGAIN)
        *done = l->text.n; /* nobody will ever read it */
    if (written > 0)
        *done += (size_t)written;
    return written > 0;
}

static void
write_log(void *arg)
{
    struct herald_log *l = arg;
    size_t done = 0;

    while (write_log_piece(l, &done))
        ;
    memmove(l->text.p, l->text.p + done, l->text.n - done);
    buf_cut(&l->text, l->text.n - done);
    if (l->text.n == 0)
        loop_fd_stop(&l->writable);
}

void
herald_log_init(struct herald_log *l, struct loop *loop, int fd)
{
    *l = (struct herald_log){.fd = fd};
    loop_fd_init(&l->writable, loop, write_log, l);
    buf_init(&l->text, HERALD_LOG_MAX);
}

void
herald_log_free(struct herald_log *l)
{
    loop_fd_stop(&l->writable);
    buf_free(&l->text);
}

void
herald_log_put(struct herald_log *l, struct bytes lines)
{
    if (lines.n > HERALD_LOG_MAX - l->text.n) {
        if (l->lost++ == 0)
            log_line(LOG_WARN, "nobody reads stdout: lines about events are left out", NULL);
        return;
    }
    if (l->lost > 0)
        log_line(LOG_WARN, "stdout is read again", "lines_left_out=%llu",
                 (unsigned long long)l->lost);
    l->lost = 0;
    buf_put(&l->text, lines.p, lines.n);
    loop_fd_set(&l->writable, l->fd, POLLOUT);
}
