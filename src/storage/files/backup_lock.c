#include "storage/files/backup_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include "util/clock.h"
#include "util/fdio.h"

#define BACKUP_LOCK "db/backup.lock"
/* The keeper holds the lock for moments, while it removes logs. */
#define TAKE_MS 2000
#define TAKE_AGAIN_MS 20

static int
open_backup_lock(int root)
{
    return openat(root, BACKUP_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

int
backup_lock_take(int root, struct err *err)
{
    uint64_t until = clock_mono_ms() + TAKE_MS;
    int fd = open_backup_lock(root);

    if (fd < 0)
        return err_errno(err, "cannot open " BACKUP_LOCK);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK || clock_mono_ms() >= until) {
            if (errno == EWOULDBLOCK)
                err_set(err, ERR_BUSY, "another backup of this registry is running");
            else
                err_errno(err, "cannot lock " BACKUP_LOCK);
            fdio_close(fd);
            return -1;
        }
        clock_sleep_ms(TAKE_AGAIN_MS);
    }
    return fd;
}

bool
backup_lock_is_held(int root)
{
    int fd = open_backup_lock(root);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;

    fdio_close(fd);
    return held;
}
