#include "util/semaphore.h"
#include <fcntl.h>
#include <sys/mman.h>
#include "util/fdio.h"

/* A seat is a locked byte of an empty file without a name. When a process ends, the kernel removes
 * its locks. */

int
semaphore_make(struct semaphore *s, unsigned n, struct err *err)
{
    s->n = n;
    s->fd = memfd_create("seats", MFD_CLOEXEC);
    return s->fd >= 0 ? 0 : err_errno(err, "cannot make a file for locks");
}

void
semaphore_close(struct semaphore *s)
{
    fdio_close(s->fd);
    s->fd = -1;
}

static int
lock_seat(const struct semaphore *s, int seat, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = seat, .l_len = 1};

    return fcntl(s->fd, F_SETLK, &l);
}

int
semaphore_take(const struct semaphore *s)
{
    for (int i = 0; i < (int)s->n; i++)
        if (lock_seat(s, i, F_WRLCK) == 0)
            return i;
    return -1;
}

void
semaphore_leave(const struct semaphore *s, int seat)
{
    (void)lock_seat(s, seat, F_UNLCK);
}
