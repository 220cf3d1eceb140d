#include "storage/kv/bdb_backup.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/kv/bdb.h"
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_recovery.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define PIECE ((size_t)128 << 10)
/* A queue whose extents are removed while it is copied is copied again. */
#define COPY_TRIES 20
#define COPY_PAUSE_MS 50

/* Joins the name of a directory and that of a file in it. */
static int
join_path(char out[4096], const char *dir, const char *name, struct err *err)
{
    int n = snprintf(out, 4096, "%s/%s", dir, name);

    return n >= 0 && n < 4096 ? 0 : err_set(err, ERR_SYSTEM, "name too long: %s", dir);
}

/* ---- a table, copied by the library ---- */

/* The library's own functions would write as well, but a large table takes longer than the watchdog
 * permits a process to be inside. */
struct copied_file {
    int fd;
    char name[256];
};

static int
on_copy_open(DB_ENV *env, const char *name, const char *target, void **handle)
{
    struct copied_file *f;
    char path[4096];
    struct err ignored;
    const char *last = strrchr(name, '/');

    (void)env;
    if (join_path(path, target, last != NULL ? last + 1 : name, &ignored) != 0)
        return ENAMETOOLONG;
    f = mem_alloc(sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", last != NULL ? last + 1 : name);
    f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, BDB_ENV_FILE_MODE);
    if (f->fd < 0) {
        free(f);
        return errno;
    }
    *handle = f;
    return 0;
}

static int
on_copy_write(DB_ENV *env, uint32_t gigabytes, uint32_t at, uint32_t n, uint8_t *p, void *handle)
{
    const struct copied_file *f = handle;
    const struct bdb *b = env->app_private;
    struct err err;

    if (b->slot != NULL)
        atomic_store(&b->slot->since_ms, clock_mono_ms());
    if (fdio_write_at(f->fd, p, n, ((uint64_t)gigabytes << 30) + at, f->name, &err) != 0)
        return err.sys != 0 ? err.sys : EIO;
    return 0;
}

static int
on_copy_close(DB_ENV *env, const char *name, void *handle)
{
    struct copied_file *f = handle;

    (void)env;
    (void)name;
    fdio_close(f->fd);
    free(f);
    return 0;
}

/* ---- logs ---- */

static bool
is_all_zero(const char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* A log is only appended to, and the library makes its file as long as it may become. The part that
 * isn't written yet is left out. A copy may end in the middle of a record, which then doesn't
 * count. */
static int
copy_log(int from, const char *to, const char *name, struct err *err)
{
    char path[4096];
    char *room;
    uint64_t at = 0;
    ssize_t got = 0;
    int fd, rc;

    if (join_path(path, to, name, err) != 0)
        return -1;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, BDB_ENV_FILE_MODE);
    if (fd < 0)
        return err_errno(err, "cannot make %s", path);
    room = mem_alloc(PIECE);
    rc = 0;
    while (rc == 0 && (got = fdio_read_at(from, room, PIECE, at)) > 0) {
        if (!is_all_zero(room, (size_t)got))
            rc = fdio_write_at(fd, room, (size_t)got, at, path, err);
        at += (uint64_t)got;
    }
    if (rc == 0 && got < 0)
        rc = err_errno(err, "cannot read %s", name);
    free(room);
    fdio_close(fd);
    return rc;
}

/* Logs that are begun meanwhile are left out: the copy then ends a little earlier. */
static int
copy_logs(struct bdb *b, const char *to, bool (*is_over)(void *arg), void *arg, struct err *err)
{
    char path[4096];
    char **names = NULL;
    int ret, rc = 0;

    bdb_enter(b);
    ret = b->env->log_archive(b->env, &names, DB_ARCH_LOG);
    if (ret != 0)
        bdb_fail_env(b, ret, "listing the logs of", err);
    bdb_leave(b);
    if (ret != 0)
        return -1;
    for (char **name = names; rc == 0 && name != NULL && *name != NULL; name++) {
        int fd;

        if (is_over(arg))
            rc = err_set(err, ERR_BUSY, "interrupted");
        else
            rc = join_path(path, b->kv.dir, *name, err);
        if (rc != 0)
            break;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        rc = fd >= 0 ? copy_log(fd, to, *name, err) : err_errno(err, "cannot open %s", path);
        fdio_close(fd);
    }
    free(names);
    return rc;
}

/* A queue is copied with its extents: *n of them are in dir. With `remove` they are removed, and
 * the file of the queue, too. */
static int
look_for_extents(const char *dir, const char *queue, bool remove, size_t *n, struct err *err)
{
    char prefix[256];
    DIR *d = fdio_opendir(AT_FDCWD, dir, err);
    size_t length = (size_t)snprintf(prefix, sizeof prefix, "__dbq.%s.", queue);

    *n = 0;
    if (d == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        bool is_extent = strncmp(e->d_name, prefix, length) == 0;

        *n += is_extent;
        if (remove && (is_extent || strcmp(e->d_name, queue) == 0))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    return 0;
}

/* The library loses its list of a queue's extents, some fifty bytes, when it fails because there is
 * none. LeakSanitizer must not take that for ours. */
static int
back_up_table(DB_ENV *env, const char *name, const char *to)
{
    int ret;

#ifdef __SANITIZE_ADDRESS__
    __lsan_disable();
#endif
    ret = env->dbbackup(env, name, to, DB_EXCL);
#ifdef __SANITIZE_ADDRESS__
    __lsan_enable();
#endif
    return ret;
}

/* A queue that never had a record has no extent, and an extent may be removed while it is copied:
 * the library then fails with ENOENT. Returns its number, or -1. */
static int
copy_table(struct bdb *b, size_t i, const char *to, struct err *err)
{
    const struct kv_table *t = &b->tables[i];
    size_t extents = 0;
    int ret = ENOENT;

    for (int tries = 0; ret == ENOENT && tries < COPY_TRIES; tries++) {
        if (tries > 0)
            clock_sleep_ms(COPY_PAUSE_MS);
        if (tries > 0 && look_for_extents(to, t->name, true, &extents, err) != 0)
            return -1;
        bdb_enter(b);
        b->is_silent = true;
        ret = back_up_table(b->env, t->name, to);
        b->is_silent = false;
        if (ret != 0 && ret != ENOENT)
            bdb_fail_env(b, ret, "copying a table of", err);
        bdb_leave(b);
        if (t->kind != KV_QUEUE || ret != ENOENT)
            break;
        if (look_for_extents(b->kv.dir, t->name, false, &extents, err) != 0)
            return -1;
        if (extents == 0)
            return 0; /* the queue itself is copied first */
    }
    if (ret == ENOENT)
        bdb_error(err, ret, "copying table", t->name);
    return ret;
}

int
bdb_backup_copy(struct kv *kv, const char *to, uint64_t *moment_ms, bool (*is_over)(void *arg),
                void *arg, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    int ret = b->env->set_backup_callbacks(b->env, on_copy_open, on_copy_write, on_copy_close);

    for (size_t i = 0; ret == 0 && i < b->n; i++) {
        if (is_over(arg))
            return err_set(err, ERR_BUSY, "interrupted");
        ret = copy_table(b, i, to, err);
    }
    if (ret != 0)
        return -1;
    *moment_ms = clock_wall_ms();
    return kv->filling->flush(kv, err) != 0 ? -1 : copy_logs(b, to, is_over, arg, err);
}

/* ---- a copy, made consistent ---- */

static int
verify_table(const char *dir, const struct kv_table *t, struct err *err)
{
    char path[4096];
    DB *db;
    int ret;

    if (join_path(path, dir, t->name, err) != 0)
        return -1;
    if ((ret = db_create(&db, NULL, 0)) != 0)
        return bdb_error(err, ret, "verifying table", t->name);
    db->set_errcall(db, NULL);
    db->set_errfile(db, NULL);
    ret = db->verify(db, path, NULL, NULL, 0); /* which frees db */
    if (ret == 0)
        return 0;
    bdb_error(err, ret, "table", t->name);
    return err_set(err, ERR_CORRUPT, "table %s is damaged or missing: %s", t->name,
                   db_strerror(ret));
}

int
bdb_backup_verify(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (verify_table(dir, &tables[i], err) != 0)
            return -1;
    return 0;
}

static int
fsync_files(const char *dir, struct err *err)
{
    DIR *d = fdio_opendir(AT_FDCWD, dir, err);
    int rc = 0;

    if (d == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        if (e->d_name[0] != '.' && fd >= 0)
            rc = fdio_fsync(fd, e->d_name, err);
        fdio_close(fd);
    }
    closedir(d);
    return rc == 0 ? fdio_fsync_dir(AT_FDCWD, dir, err) : -1;
}

/* Begins a new log, so that the one that a copy was made with can be removed: it may have 16 MB,
 * and tables that haven't changed are the same in the next copy. A record that doesn't fit into
 * what is left of a log begins the next one, and this one fills that, too. */
static int
begin_small_log(DB_ENV *env)
{
    static const size_t sizes[] = {BDB_ENV_LOG_FILE - 1024, 2048};
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *p = mem_alloc(sizes[i]);
        DBT record = bdb_dbt(p, sizes[i]);
        const uint32_t type = DB_user_BEGIN;
        DB_LSN at;

        memcpy(p, &type, sizeof type);
        ret = env->log_put(env, &at, &record, 0);
        free(p);
    }
    return ret;
}

/* Cuts off what the library has made the log longer than it is. */
static int
cut_log(DB_ENV *env, const char *dir)
{
    char name[32], path[4096];
    DB_LOG_STAT *stat;
    struct err ignored;
    int ret = env->log_stat(env, &stat, 0);

    if (ret != 0)
        return ret;
    snprintf(name, sizeof name, BDB_ENV_LOG_PREFIX "%0*u", BDB_ENV_LOG_DIGITS, stat->st_cur_file);
    if (join_path(path, dir, name, &ignored) != 0)
        ret = ENAMETOOLONG;
    else if (truncate(path, stat->st_cur_offset) != 0)
        ret = errno;
    free(stat);
    return ret;
}

/* The regions are in the memory of this process: the copy gets no files of them. */
static int
repeat_logs(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    struct bdb *b = bdb_new(dir, tables, n);
    int ret, closed;

    b->is_silent = true;
    ret = bdb_env_open(b, DB_CREATE | DB_PRIVATE | DB_RECOVER_FATAL);
    if (ret == 0)
        ret = begin_small_log(b->env);
    if (ret == 0)
        ret = b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE);
    if (ret == 0)
        ret = b->env->log_archive(b->env, NULL, DB_ARCH_REMOVE);
    if (ret == 0)
        ret = cut_log(b->env, dir);
    closed = bdb_env_detach(b);
    bdb_free(b);
    if (ret == 0)
        ret = closed;
    if (ret == 0)
        return 0;
    bdb_error(err, ret, "repeating the logs of", dir);
    if (err->code == ERR_SYSTEM)
        err->code = ERR_CORRUPT;
    return -1;
}

int
bdb_backup_mend(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    if (repeat_logs(dir, tables, n, err) != 0 || bdb_recovery_tidy(dir, tables, n, err) != 0 ||
        bdb_backup_verify(dir, tables, n, err) != 0)
        return -1;
    return fsync_files(dir, err);
}

/* ---- a store that becomes a copy ---- */

struct kv *
bdb_backup_make(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    struct bdb *b = bdb_new(dir, tables, n);

    b->is_private = b->is_fresh = true;
    if (bdb_env_attach(b, true, err) == 0)
        return &b->kv;
    (void)bdb_env_detach(b);
    bdb_free(b);
    return NULL;
}

/* All pages are written first, so that nothing in the logs has to be repeated. */
int
bdb_backup_made(struct kv *kv, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    const struct kv_table *tables = b->tables;
    char *dir = mem_strdup(kv->dir);
    size_t n = b->n;
    int rc, ret = b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE), closed = bdb_env_detach(b);

    bdb_free(b);
    if (ret == 0)
        ret = closed;
    rc = ret == 0 ? bdb_backup_mend(dir, tables, n, err) : bdb_error(err, ret, "writing", dir);
    free(dir);
    return rc;
}
