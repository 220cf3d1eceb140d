#include "storage/files/backup_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/file_lock.h"

#define BACKUP_LOCK "db/backup.lock"
/* The keeper holds the lock for moments, while it asks whether a backup runs. */
#define MOMENT_MS 1000
#define TAKE_AGAIN_MS 20
#define WHAT_MAX 15
#define HOLDER_MAX 64
/* Each of them takes one of the server's places for commands (SERVER_COMMANDS_MAX). */
#define WAITING_MAX 4

static int
open_backup_lock(int root)
{
    return openat(root, BACKUP_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

/* The file says what its holder does. That is only for people, and may fail on a full disk. */
static void
write_what_it_does(int fd, const char *what)
{
    size_t n = strlen(what);

    if (ftruncate(fd, 0) != 0 || pwrite(fd, what, n, 0) != (ssize_t)n)
        return;
}

static void
name_backup_holder(int fd, char out[HOLDER_MAX])
{
    char what[WHAT_MAX + 1] = "";
    ssize_t n = fdio_read_at(fd, what, WHAT_MAX, 0);
    pid_t pid = file_lock_holder(fd);

    what[n > 0 ? n : 0] = '\0';
    if (what[0] == '\0' || what[strspn(what, "abcdefghijklmnopqrstuvwxyz")] != '\0')
        snprintf(what, sizeof what, "command");
    n = snprintf(out, HOLDER_MAX, "the %s", what);
    if (pid > 0)
        snprintf(out + n, (size_t)(HOLDER_MAX - n), " (process %d)", (int)pid);
}

/* The places for those that wait are bytes of the file. The kernel frees them with fd. */
static int
take_waiting_place(int fd, const char *holder, struct err *err)
{
    for (off_t i = 0; i < WAITING_MAX; i++) {
        struct flock place = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1};

        if (fcntl(fd, F_OFD_SETLK, &place) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            return err_errno(err, "cannot lock a byte of " BACKUP_LOCK);
    }
    return err_set(err, ERR_BUSY,
                   "%s is running in this registry, and %d commands wait for it already: try again "
                   "later",
                   holder, WAITING_MAX);
}

static void
leave_waiting_places(int fd)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_len = WAITING_MAX};

    fcntl(fd, F_OFD_SETLK, &all);
}

static int
wait_for_backup_lock(int fd, const struct backup_lock_wait *wait, struct err *err)
{
    const uint64_t begun = clock_mono_ms();
    uint64_t tell_ms = MOMENT_MS;
    bool has_place = false;
    char holder[HOLDER_MAX];
    int rc;

    while ((rc = file_lock_try(fd, NULL, BACKUP_LOCK, err)) == 0) {
        const uint64_t waited = clock_mono_ms() - begun;

        if (wait->is_over(wait->arg))
            return err_set(err, ERR_BUSY, "interrupted");
        if (waited >= tell_ms) {
            name_backup_holder(fd, holder);
            if (waited >= wait->ms)
                return err_set(err, ERR_BUSY,
                               "%s is running in this registry, and only one backup or snapshot "
                               "is made at a time",
                               holder);
            if (!has_place && take_waiting_place(fd, holder, err) != 0)
                return -1;
            has_place = true;
            wait->tell(wait->arg, holder);
            tell_ms = waited + MOMENT_MS;
        }
        clock_sleep_ms(TAKE_AGAIN_MS);
    }
    return rc;
}

int
backup_lock_take(int root, const struct backup_lock_wait *wait, struct err *err)
{
    int fd = open_backup_lock(root);

    if (fd < 0)
        return err_errno(err, "cannot open " BACKUP_LOCK);
    if (wait_for_backup_lock(fd, wait, err) == 1) {
        leave_waiting_places(fd);
        write_what_it_does(fd, wait->what);
        return fd;
    }
    fdio_close(fd);
    return -1;
}

bool
backup_lock_is_held(int root)
{
    int fd = open_backup_lock(root);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;

    fdio_close(fd);
    return held;
}
