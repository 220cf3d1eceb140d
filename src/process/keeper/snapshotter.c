#include "process/keeper/snapshotter.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "domain/backup/snapshot.h"
#include "process/server/control_call.h"
#include "storage/files/disk_space.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

/* The first snapshot of a store waits this long after a start: the logs have all of it. */
#define FIRST_MS (60 * 1000)
/* After a failure, and between two that are due because of the logs. */
#define AGAIN_MS (60 * 1000)
/* A snapshot is due when the logs since the last one have this much, or a part of a small disk. */
#define LOGS_MOST (UINT64_C(256) << 20)
#define LOGS_LEAST (UINT64_C(32) << 20)
#define LOGS_PART 16
/* With less room besides the margin, older snapshots go. */
#define ROOM (UINT64_C(64) << 20)

struct snapshotter {
    const struct server *server;
    const struct registry *reg;
    struct loop_fd answer;
    int connection;      /* a snapshot is being taken; -1 */
    bool settled;        /* what a restore has left was seen to */
    uint64_t due_ms;     /* clock_mono_ms() */
    uint64_t logs_at_ms; /* not again before, because of the logs */
    bool complained;     /* of the last failure */
};

static uint64_t
least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- room ---- */

/* Snapshots are there for the database; they go before it is in need. */
static void
make_room(struct snapshotter *s)
{
    int root = s->reg->dirfd;
    uint64_t bytes, alone;
    struct err err;

    if (disk_space_check(root, ROOM, &err) == 0)
        return;
    if (snapshot_drop_oldest(root, &err) == 1 || disk_space_check(root, 0, &err) == 0)
        return;
    snapshot_measure_logs(root, &bytes, &alone);
    if (alone == 0)
        return;
    log_line(LOG_WARN, "the disk is full: the logs behind the last snapshot go", "bytes=%llu",
             (unsigned long long)alone);
    if (snapshot_drop_logs(root, &err) != 0)
        log_line(LOG_ERROR, "logs can't be removed", "why=%s", err.message);
}

static bool
are_logs_long(const struct snapshotter *s)
{
    uint64_t bytes, alone, most = LOGS_MOST;
    struct statvfs fs;

    if (fstatvfs(s->reg->dirfd, &fs) == 0)
        most = least_of(most, (uint64_t)fs.f_blocks * fs.f_frsize / LOGS_PART);
    if (most < LOGS_LEAST)
        most = LOGS_LEAST;
    snapshot_measure_logs(s->reg->dirfd, &bytes, &alone);
    return alone > most;
}

/* ---- taking one ---- */

static void
end_snapshot(struct snapshotter *s, const char *failure)
{
    uint64_t every = s->server->options->snapshot_every_ms, now = clock_mono_ms();

    loop_fd_stop(&s->answer);
    fdio_close(s->connection);
    s->connection = -1;
    if (failure == NULL) {
        s->due_ms = now + every;
        s->complained = false;
        return;
    }
    s->due_ms = now + least_of(every, AGAIN_MS);
    if (!s->complained)
        log_line(LOG_WARN, "no snapshot of the database could be taken", "why=%s", failure);
    s->complained = true;
}

static void
on_snapshot_answer(void *arg)
{
    struct snapshotter *s = arg;
    struct err err;
    int code = control_call_result(s->connection, &err);

    if (code < 0)
        end_snapshot(s, "its process died");
    else
        end_snapshot(s, code == 0 ? NULL : err.message);
}

static void
begin_snapshot(struct snapshotter *s)
{
    /* Without waiting for a backup: it is asked for again. */
    const char *const args[] = {"snapshot", "0", NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[4] = {null, null, STDERR_FILENO, s->reg->dirfd};
    struct err err;

    s->connection = control_call_connect();
    if (s->connection < 0 || null < 0) {
        end_snapshot(s, "the master can't be asked");
    } else if (control_call_send(s->connection, fds, args, &err) != 0) {
        end_snapshot(s, err.message);
    } else {
        loop_fd_set(&s->answer, s->connection, POLLIN);
    }
    fdio_close(null);
}

/* The newest may be older than the server, or there may be none that the logs continue. */
static void
plan_first(struct snapshotter *s)
{
    uint64_t every = s->server->options->snapshot_every_ms, now = clock_mono_ms();

    s->due_ms = now + (snapshot_is_continuous(s->reg->dirfd) ? least_of(every, FIRST_MS) : 0);
}

void
snapshotter_step(struct snapshotter *s)
{
    uint64_t now = clock_mono_ms();
    struct err err;

    if (!s->settled && snapshot_settle_restored(s->reg->dirfd, &err) != 0) {
        log_line(LOG_ERROR, "the logs of a database that was replaced stay", "why=%s", err.message);
    } else if (!s->settled) {
        s->settled = true;
        plan_first(s);
    }
    make_room(s);
    if (s->connection >= 0)
        return;
    if (s->server->options->snapshot_every_ms == 0) {
        if (snapshot_drop_logs(s->reg->dirfd, &err) != 0)
            log_line(LOG_ERROR, "logs can't be removed", "why=%s", err.message);
        return;
    }
    if (now >= s->logs_at_ms && are_logs_long(s)) {
        s->logs_at_ms = now + AGAIN_MS;
        s->due_ms = now;
    }
    if (now >= s->due_ms)
        begin_snapshot(s);
}

struct snapshotter *
snapshotter_new(const struct server *server, const struct registry *reg, struct loop *loop)
{
    struct snapshotter *s = mem_alloc(sizeof *s);

    *s = (struct snapshotter){.server = server, .reg = reg, .connection = -1};
    loop_fd_init(&s->answer, loop, on_snapshot_answer, s);
    return s;
}

void
snapshotter_free(struct snapshotter *s)
{
    loop_fd_stop(&s->answer);
    fdio_close(s->connection);
    free(s);
}
