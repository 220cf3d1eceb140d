#include "process/server/datadir_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "util/buf.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/file_lock.h"
#include "util/log.h"
#include "util/parse.h"

#define LOCK_NAME "db/lock"
/* A killed server takes its children along, but not at the same instant. */
#define LOCK_WAIT_MS 1000
/* A command without a server has the lock while it works. Service managers wait longer than this.
 */
#define COMMAND_WAIT_MS 60000

static int
open_lock(int dirfd, int flags)
{
    return openat(dirfd, LOCK_NAME, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* ---- whose it is ---- */

#define PROGRAM_NAME "docker-registry-server"

/* The word behind the program's name. A server's first word is an option, "serve", or none. */
static void
find_command_name(struct datadir_lock_holder *h)
{
    char path[64];
    struct buf line;
    struct err ignored;
    size_t first, n = strlen(PROGRAM_NAME);

    h->command[0] = '\0';
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)h->pid);
    buf_init(&line, 1 << 17);
    if (fdio_read_file(AT_FDCWD, path, &line, &ignored) == 1) {
        first = strlen(buf_text(&line)) + 1;
        if (first > n && strcmp(buf_text(&line) + first - 1 - n, PROGRAM_NAME) == 0 &&
            first < line.n && buf_text(&line)[first] != '-' &&
            strcmp(buf_text(&line) + first, "serve") != 0)
            snprintf(h->command, sizeof h->command, "%s", buf_text(&line) + first);
    }
    buf_free(&line);
}

static struct datadir_lock_holder
find_lock_holder(int fd)
{
    struct datadir_lock_holder h = {.pid = file_lock_holder(fd)};

    if (h.pid != 0)
        find_command_name(&h);
    return h;
}

static int
locked_already(int dirfd, const char *name, const struct datadir_lock_holder *h, struct err *err)
{
    char by[80] = "another process (a command such as gc, or another server)";
    struct buf text;
    struct err ignored;
    uint64_t pid = 0;
    bool known;

    buf_init(&text, 64);
    known = fdio_read_file(dirfd, "run/master.pid", &text, &ignored) == 1 &&
            parse_u64(buf_text(&text), strcspn(buf_text(&text), "\n"), &pid) && pid > 1 &&
            pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
    buf_free(&text);
    if (h->command[0] != '\0')
        snprintf(by, sizeof by, "the command %s (process %d)", h->command, (int)h->pid);
    else if (known)
        snprintf(by, sizeof by, "another server (process %llu)", (unsigned long long)pid);
    return err_set(
        err, ERR_BUSY,
        "%s is in use by %s: stop that one first, or choose another directory with --dir", name,
        by);
}

int
datadir_lock_wait(int *fd, int dirfd, const char *name, struct err *err)
{
    const uint64_t begun = clock_mono_ms();
    uint64_t look_ms = LOCK_WAIT_MS;
    pid_t told = 0;
    int rc;

    *fd = open_lock(dirfd, O_RDWR | O_CREAT);
    if (*fd < 0)
        return err_errno(err, "cannot open %s/%s", name, LOCK_NAME);
    while ((rc = file_lock_try(*fd, name, LOCK_NAME, err)) == 0) {
        const uint64_t waited = clock_mono_ms() - begun;

        if (waited >= look_ms) {
            const struct datadir_lock_holder h = find_lock_holder(*fd);

            if (h.command[0] == '\0' || waited >= COMMAND_WAIT_MS)
                return file_lock_try(*fd, name, LOCK_NAME, err) == 1
                           ? 0
                           : locked_already(dirfd, name, &h, err);
            if (h.pid != told)
                log_line(LOG_INFO, "waiting for a command that uses the data directory",
                         "command=%s pid=%d", h.command, (int)h.pid);
            told = h.pid;
            look_ms = waited + LOCK_WAIT_MS;
        }
        clock_sleep_ms(10);
    }
    return rc == 1 ? 0 : -1;
}

int
datadir_lock_try(int *fd, int dirfd, const char *name, bool make, struct err *err)
{
    int new = open_lock(dirfd, make ? O_RDWR | O_CREAT : O_RDONLY);
    int rc;

    if (new < 0 && errno == ENOENT && !make)
        return 1;
    rc = new < 0 ? err_errno(err, "cannot open %s/%s", name, LOCK_NAME) : 0;
    if (rc == 0)
        rc = file_lock_try(new, name, LOCK_NAME, err);
    *fd = rc == 1 ? new : -1;
    if (rc != 1)
        fdio_close(new);
    return rc;
}

bool
datadir_lock_by(int dirfd, struct datadir_lock_holder *h)
{
    int fd = open_lock(dirfd, O_RDONLY);

    *h = (struct datadir_lock_holder){0};
    if (fd >= 0)
        *h = find_lock_holder(fd);
    fdio_close(fd);
    return h->command[0] != '\0';
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
