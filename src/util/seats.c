#include "util/seats.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "util/fdio.h"
#include "util/banned.h"

/* A seat is a locked byte of a file that has no name, and no bytes. The kernel unlocks what a dead
 * process had. */

int
seats_make(struct seats *s, unsigned n, struct err *err)
{
    s->n = n;
    s->fd = memfd_create("seats", MFD_CLOEXEC);
    return s->fd >= 0 ? 0 : err_errno(err, "make a file for locks");
}

void
seats_close(struct seats *s)
{
    fdio_close(s->fd);
    s->fd = -1;
}

static int
lock(const struct seats *s, int seat, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = seat, .l_len = 1};

    return fcntl(s->fd, F_SETLK, &l);
}

int
seats_take(const struct seats *s)
{
    for (int i = 0; i < (int)s->n; i++)
        if (lock(s, i, F_WRLCK) == 0)
            return i;
    return -1;
}

void
seats_leave(const struct seats *s, int seat)
{
    (void)lock(s, seat, F_UNLCK);
}
