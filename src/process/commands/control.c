#include "process/commands/control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/core/store.h"
#include "process/commands/progress.h"
#include "process/server/child.h"
#include "process/server/control_call.h"
#include "process/server/datadir.h"
#include "process/server/datadir_lock.h"
#include "process/server/datadir_plan.h"
#include "process/server/node.h"
#include "process/server/other_registry.h"
#include "process/server/store_address.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_nodes.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/clock.h"
#include "util/fdio.h"

/* A server that starts or stops holds the lock but has no socket. */
#define SERVER_WAIT_MS 10000
/* A killed server takes its children along, but not at the same instant. */
#define LOOK_MS 1000
#define POLL_MS 20

static volatile sig_atomic_t command_stopping;

void
control_stop(int signal)
{
    (void)signal;
    command_stopping = 1;
}

bool
control_is_over(const struct control *c)
{
    struct pollfd p = {.fd = c->caller, .events = POLLRDHUP};
    return command_stopping || (c->caller >= 0 && poll(&p, 1, 0) == 1);
}

/* ---- with a server ---- */

static enum command_exit
ask_server(int fd, int startdir, const char *const *args, struct err *err)
{
    const int fds[4] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, startdir};
    int code;

    if (control_call_send(fd, fds, args, err) < 0)
        return COMMAND_FAILED;
    code = control_call_result(fd, err);
    if (code < 0) {
        err_set(err, ERR_BUSY,
                "the server ended this (it stops, or recovers its database): try again, and see "
                "its log");
        return COMMAND_FAILED;
    }
    return (enum command_exit)code;
}

/* ---- without ---- */

static void
exit_on_lost_store(const char *why)
{
    command_note("the database can't be used: %s", why);
    _exit(COMMAND_FAILED);
}

/* Another server may work with this database, which has no directory of ours. */
static int
refuse_other_nodes(const struct server *s, struct kv *kv, struct err *err)
{
    char own[KV_NODE_ID_MAX];

    if (!kv_is_remote(kv))
        return 0;
    return node_read_id(s->dir.fd, own, err) != 0 ? -1 : kv_node_refuse_others(kv, own, err);
}

struct kv *
control_open_store(const struct server *s, struct err *err)
{
    struct kv *kv;
    struct registry reg;

    disk_space_give(s->dir.fd);
    if (store_address_check(s->options, s->dir.fd, err) != 0 ||
        kv_recover(store_address(s->options), tables, TABLE_COUNT, err) < 0)
        return NULL;
    kv = kv_open(store_address(s->options), tables, TABLE_COUNT, NULL, exit_on_lost_store, err);
    reg = (struct registry){.kv = kv, .dirfd = s->dir.fd, .blobs = &s->blobs};
    if (kv != NULL && (refuse_other_nodes(s, kv, err) != 0 || store_begin(&reg, err) < 0)) {
        kv_close(kv);
        kv = NULL;
    }
    return kv;
}

enum way {
    WAY_OPEN,      /* the store is opened */
    WAY_CLOSED,    /* it isn't */
    WAY_READ_ONLY, /* nor is anything written */
};

static enum command_exit
work_here(struct server *s, enum way way, control_work *work, const char *const *args,
          struct err *err)
{
    struct registry reg;
    struct control c = {.server = s, .reg = &reg, .poke = -1, .caller = -1};
    enum command_exit code;
    struct err ignored;
    const char *outside;
    struct kv *kv;

    /* The blobs of a backup are in it. */
    outside =
        other_registry_backup(s->dir.fd, s->dir.name, &ignored) == 0 ? s->options->blobs : NULL;
    if (blob_store_open(&s->blobs, s->dir.fd, outside, way == WAY_READ_ONLY, err) != 0)
        return COMMAND_FAILED;
    s->blobs.cache_bytes = s->options->cache_size / 2;
    while (args[c.args_n] != NULL && c.args_n < CONTROL_ARGS_MAX) {
        c.args[c.args_n] = args[c.args_n];
        c.args_n++;
    }
    kv = way == WAY_OPEN ? control_open_store(s, err) : NULL;
    if (kv == NULL && way == WAY_OPEN)
        return COMMAND_FAILED;
    child_registry(s, kv, &reg);
    code = work(&c, err);
    kv_close(kv);
    blob_store_close(&s->blobs);
    if (way == WAY_OPEN)
        (void)kv_backup_note_stop(store_address(s->options), &ignored); /* as a server that stops */
    return code;
}

/* ---- which of both ---- */

struct lock_wait {
    struct progress progress;
    uint64_t look_ms;                  /* the next look who has the lock */
    struct datadir_lock_holder holder; /* a command; "": none was seen */
};

/* Another process has the lock, since waited_ms. 0: wait longer; -1. */
static int
judge_lock(const struct server *s, struct lock_wait *w, uint64_t waited_ms, struct err *err)
{
    const struct datadir_lock_holder *h = &w->holder;

    if (waited_ms >= w->look_ms) {
        (void)datadir_lock_by(s->dir.fd, &w->holder);
        w->look_ms += LOOK_MS;
        if (h->command[0] != '\0' && waited_ms >= s->options->wait_ms)
            return err_set(err, ERR_BUSY,
                           "the command %s (process %d) works in %s: try again when it has ended",
                           h->command, (int)h->pid, s->dir.name);
    }
    if (h->command[0] != '\0')
        progress_tell(&w->progress, "waiting for the command %s (process %d)", h->command,
                      (int)h->pid);
    else if (waited_ms >= SERVER_WAIT_MS)
        return err_set(err, ERR_BUSY, "a server starts, stops or hangs in %s: try again later",
                       s->dir.name);
    return 0;
}

/* Takes the lock (1), or connects to the server that holds it (0, and *fd). -1. */
static int
try_lock_or_connect(struct server *s, enum way way, int *fd, struct err *err)
{
    *fd = control_call_connect();
    if (*fd >= 0)
        return 0;
    if (errno == EACCES)
        return err_set(err, ERR_DENIED,
                       "the server that runs in %s belongs to another user: run this as that "
                       "user, or as root",
                       s->dir.name);
    return way == WAY_READ_ONLY ? datadir_hold(&s->dir, err) : datadir_lock(&s->dir, &s->who, err);
}

/* The same, and waits for a server that starts or stops, and longer for a command. */
static int
lock_or_connect(struct server *s, enum way way, int *fd, struct err *err)
{
    const uint64_t begun = clock_mono_ms();
    struct lock_wait w = {.look_ms = LOOK_MS};
    int rc;

    progress_begin(&w.progress);
    while ((rc = try_lock_or_connect(s, way, fd, err)) == 0 && *fd < 0) {
        if (judge_lock(s, &w, clock_mono_ms() - begun, err) != 0) {
            rc = -1;
            break;
        }
        clock_sleep_ms(POLL_MS);
    }
    progress_end(&w.progress);
    return rc;
}

static enum command_exit
run_control(struct options *o, enum way way, control_work *work, const char *const *args,
            struct err *err)
{
    struct server s = {
        .options = o, .poke = -1, .blobs = {.outside = -1}, .dir = {.fd = -1, .lock = -1}};
    enum command_exit code = COMMAND_FAILED;
    int fd = -1, locked = -1;
    umask(0027);
    s.startdir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s.startdir < 0)
        err_errno(err, "cannot open the current directory");
    else if (datadir_plan(o->dir, o->run_as, &s.who, err) == 0 &&
             datadir_find(&s.dir, o->dir, &s.who, err) == 0 &&
             privileges_drop(&s.who, 0, err) == 0 && datadir_check(&s.dir, &s.who, err) == 0)
        locked = lock_or_connect(&s, way, &fd, err);
    if (locked == 0)
        code = ask_server(fd, s.startdir, args, err);
    else if (locked == 1)
        code = work_here(&s, way, work, args, err);
    fdio_close(fd);
    fdio_close(s.startdir);
    fdio_close(s.dir.fd);
    fdio_close(s.dir.lock);
    return code;
}

enum command_exit
control_run(struct options *o, control_work *work, const char *const *args, struct err *err)
{
    return run_control(o, WAY_OPEN, work, args, err);
}

enum command_exit
control_run_closed(struct options *o, bool read_only, control_work *work, const char *const *args,
                   struct err *err)
{
    return run_control(o, read_only ? WAY_READ_ONLY : WAY_CLOSED, work, args, err);
}
