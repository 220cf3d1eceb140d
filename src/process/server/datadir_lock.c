#include "process/server/datadir_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>
#include "util/buf.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/parse.h"

#define LOCK_NAME "db/lock"
/* A killed server takes its children along, but not at the same instant. */
#define LOCK_WAIT_MS 1000

static int
open_lock(int dirfd, int flags)
{
    return openat(dirfd, LOCK_NAME, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int
locked_already(int dirfd, const char *name, struct err *err)
{
    char by[64] = "another process (a command such as gc, or another server)";
    struct buf text;
    struct err ignored;
    uint64_t pid = 0;
    bool known;

    buf_init(&text, 64);
    known = fdio_read_file(dirfd, "run/master.pid", &text, &ignored) == 1 &&
            parse_u64(buf_text(&text), strcspn(buf_text(&text), "\n"), &pid) && pid > 1 &&
            pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
    buf_free(&text);
    if (known)
        snprintf(by, sizeof by, "another server (process %llu)", (unsigned long long)pid);
    return err_set(
        err, ERR_BUSY,
        "%s is in use by %s: stop that one first, or choose another directory with --dir", name,
        by);
}

int
datadir_lock_wait(int *fd, int dirfd, const char *name, struct err *err)
{
    uint64_t until;

    *fd = open_lock(dirfd, O_RDWR | O_CREAT);
    if (*fd < 0)
        return err_errno(err, "cannot open %s/%s", name, LOCK_NAME);
    until = clock_mono_ms() + LOCK_WAIT_MS;
    while (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return err_errno(err, "cannot lock %s/%s", name, LOCK_NAME);
        if (clock_mono_ms() >= until)
            return locked_already(dirfd, name, err);
        clock_sleep_ms(10);
    }
    return 0;
}

int
datadir_lock_try(int *fd, int dirfd, const char *name, bool make, struct err *err)
{
    int new = open_lock(dirfd, make ? O_RDWR | O_CREAT : O_RDONLY);
    int rc;

    if (new < 0 && errno == ENOENT && !make)
        return 1;
    rc = new < 0 ? err_errno(err, "cannot open %s/%s", name, LOCK_NAME) : 0;
    *fd = rc == 0 && flock(new, LOCK_EX | LOCK_NB) == 0 ? new : -1;
    if (*fd >= 0)
        return 1;
    fdio_close(new);
    return rc != 0 || errno == EWOULDBLOCK || errno == EINTR
               ? rc
               : err_errno(err, "cannot lock %s/%s", name, LOCK_NAME);
}

bool
datadir_lock_is_taken(int dirfd)
{
    int fd = open_lock(dirfd, O_RDONLY);
    bool taken;

    if (fd < 0)
        return false;
    /* A server that starts at this moment asks for its lock again. */
    taken = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    fdio_close(fd);
    return taken;
}
