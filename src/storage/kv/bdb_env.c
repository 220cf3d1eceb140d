#include "storage/kv/bdb_env.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "storage/kv/kv_backup.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/parse.h"

/* Every process must make the same settings. */

#define CACHE_BYTES (16u << 20)
#define LOCKS 20000
#define LOCKERS 4000
/* Lists of the table of locked objects. By itself the library makes 16381 of them for LOCKS, and
 * writes to each at the start, which takes 1.5 MB. An idle server has 19 objects locked. */
#define LOCK_LISTS 1021
/* Each process that dies idle leaves about 51 mutexes behind, until the next recovery. */
#define MUTEXES 20000
#define TRANSACTIONS 200
#define LOG_BUFFER (1u << 20)
#define PAGE_BYTES 4096
/* A queue's file is removed when nothing is left in it. A process keeps each of them open that it
 * has read or written, until it is removed: with small ones the keeper ran out of descriptors. */
#define EXTENT_PAGES 4096
#define LINES_MAX 20 /* that the library may log in LINES_MS */
#define LINES_MS 10000

/* After reading a damaged page the library panics, so that no process can use the store until a
 * recovery, and then panics again. Here only the call that read the page fails: nothing was
 * changed, and the other pages are good. The library reports the panic to this function before it
 * goes on. A process that uses the store at this moment tries again: see bdb_is_lost. */
static void
note_damage(struct bdb *b, const char *text)
{
    const char *at = strstr(text, ": pgin failed for page "), *from = at;
    unsigned long page;

    while (from != NULL && from > text && from[-1] != ' ')
        from--;
    if (at != NULL && sscanf(at, ": pgin failed for page %lu", &page) == 1) {
        snprintf(b->bad_file, sizeof b->bad_file, "%.*s", (int)(at - from), from);
        b->bad_page = (uint32_t)page;
    }
    b->found_damage = b->found_damage || strstr(text, "checksum error: page") != NULL;
    if (b->found_damage && strstr(text, "PANIC") != NULL)
        b->env->set_flags(b->env, DB_PANIC_ENVIRONMENT, 0);
}

/* When a system call fails, the library says so in a line that ends with the error's text, and may
 * later return nothing but DB_RUNRECOVERY. */
static void
note_fault(struct bdb *b, const char *text)
{
    static const int faults[] = {EIO, ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, ENOMEM};
    size_t n = strlen(text), end;

    for (size_t i = 0; i < sizeof faults / sizeof *faults && b->fault == 0; i++) {
        end = strlen(strerror(faults[i]));
        if (n > end && strcmp(text + n - end, strerror(faults[i])) == 0)
            b->fault = faults[i];
    }
}

uint32_t
bdb_env_log_number(const char *name)
{
    uint64_t number;

    if (strncmp(name, BDB_ENV_LOG_PREFIX, strlen(BDB_ENV_LOG_PREFIX)) != 0 ||
        strlen(name) != strlen(BDB_ENV_LOG_PREFIX) + BDB_ENV_LOG_DIGITS ||
        !parse_u64(name + strlen(BDB_ENV_LOG_PREFIX), BDB_ENV_LOG_DIGITS, &number) ||
        number > UINT32_MAX)
        return 0;
    return (uint32_t)number;
}

bool
bdb_env_disk_is_full(const char *dir)
{
    struct statvfs fs;

    return statvfs(dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < BDB_ENV_LOG_FILE;
}

/* Logs an error line of the library. On a full disk it has one for each page: the keeper or the
 * master says in one line what is wrong. */
static void
on_library_error(const DB_ENV *env, const char *prefix, const char *text)
{
    struct bdb *b = env->app_private;
    uint64_t now = clock_mono_ms();

    (void)prefix;
    note_damage(b, text);
    note_fault(b, text);
    if (b->is_silent)
        return;
    if (!b->found_damage && bdb_env_disk_is_full(b->kv.dir)) {
        log_line(LOG_DEBUG, "berkeley db", "text=%s", text);
        return;
    }
    if (now - b->lines_since_ms > LINES_MS) {
        if (b->lines > LINES_MAX)
            log_line(LOG_ERROR, "berkeley db", "unsaid=%u", b->lines - LINES_MAX);
        b->lines = 0;
        b->lines_since_ms = now;
    }
    if (b->lines++ >= LINES_MAX)
        return;
    if (strstr(text, "checksum error: page") != NULL)
        log_line(LOG_ERROR, "berkeley db", "text=%s advice=%s", text,
                 "docker-registry-server restore --snapshot");
    else
        log_line(LOG_ERROR, "berkeley db", "text=%s", text);
}

/* ---- fsync ----
 *
 * After a failed fsync the kernel may have dropped what was written, and the next one succeeds. The
 * library repeats one that fails with EIO, up to a hundred times, and would then promise what the
 * disk doesn't have. So the process ends here, while it holds the library's lock on that file:
 * nobody else can flush it before the recovery, which reads what the disk has (bdb_recovery.c). */

/* The library's functions have no argument for it. While a copy is made consistent, it is the
 * copy. NULL: a log is read or begun (bdb_log_read.c, bdb_adopt.c) while no store is open. */
static struct bdb *synced_store;

static int
sync_store_file(int fd)
{
    int saved;

    if (synced_store != NULL && synced_store->is_fresh)
        return 0;
    while (fdatasync(fd) != 0) {
        if (errno == EINTR)
            continue;
        saved = errno;
        if (synced_store == NULL)
            return saved == EIO ? (errno = ENXIO) : saved;
        if (!synced_store->sync_failed)
            log_line(LOG_ERROR, "a file of the database can't be synced", "dir=%s errno=%d",
                     synced_store->kv.dir, saved);
        if (synced_store->lost != NULL)
            bdb_lost(synced_store, "an fsync failed");
        synced_store->sync_failed = true;
        synced_store->fault = saved;
        errno = saved;
        break;
    }
    /* Not EIO, which the library would try again. */
    return synced_store != NULL && synced_store->sync_failed ? (errno = ENXIO) : 0;
}

/* Without the second name the log is as good; only a lost db/ costs more then. */
static void
give_second_name(const char *path)
{
    char second[4096];
    int n = snprintf(second, sizeof second, "%s/../" KV_BACKUP_LOGS "%s", synced_store->kv.dir,
                     strrchr(path, '/'));

    if (n < 0 || (size_t)n >= sizeof second)
        return;
    if (link(path, second) != 0 && errno == EEXIST && unlink(second) == 0)
        (void)!link(path, second);
}

/* The library syncs a new log, but not the directory that has its name. */
static int
open_store_file(const char *path, int flags, ...)
{
    mode_t mode = 0;
    struct stat st;
    struct err err;
    va_list ap;
    int fd;

    if ((flags & O_CREAT) != 0) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    fd = open(path, flags, mode);
    if (synced_store == NULL || fd < 0 || (flags & O_CREAT) == 0 || strstr(path, "/log.") == NULL ||
        fstat(fd, &st) != 0 || st.st_size > 0)
        return fd;
    if (synced_store->keeps_logs)
        give_second_name(path);
    if (synced_store->is_fresh || fdio_fsync_dir(AT_FDCWD, synced_store->kv.dir, &err) == 0)
        return fd;
    log_line(LOG_ERROR, "the name of a new log can't be synced", "why=%s", err.message);
    fdio_close(fd);
    unlink(path);
    if (synced_store->lost != NULL)
        bdb_lost(synced_store, "a new log can't begin");
    synced_store->fault = err.sys;
    errno = ENXIO;
    return -1;
}

/* ---- pages of zeros ----
 *
 * The library takes a page that begins with zeros for one that was never written. It doesn't look
 * at its checksum, finds no records there, or reads behind it. That is right in a recovery. Later a
 * table has no such page, except one that the disk has lost: its number makes the checksum wrong.
 * Pages of a queue may be missing. */

/* In the head of a page. */
#define LSN_BYTES 8
#define NUMBER_AT 8
#define TYPE_AT 25
#define PAGE_HEAD 26

static bool
is_in_directory(const struct bdb *b, const char *directory)
{
    struct stat one, other;

    return stat(directory, &one) == 0 && stat(b->kv.dir, &other) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Of a store that is open, and not of a copy of it. */
static bool
is_table_that_is_whole(int fd)
{
    char link[32], path[4096], *name;
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    name = strrchr(path, '/');
    if (name == NULL)
        return false;
    *name++ = '\0';
    for (const struct bdb *b = synced_store; b != NULL; b = b->outer)
        for (size_t i = 0; i < b->n && !b->recovers; i++)
            if (b->tables[i].kind == KV_ORDERED && strcmp(b->tables[i].name, name) == 0 &&
                is_in_directory(b, path))
                return true;
    return false;
}

static ssize_t
read_store_page(int fd, void *page, size_t n, off_t at)
{
    static const uint8_t zeros[PAGE_HEAD];
    uint8_t *p = page;
    ssize_t got = pread(fd, page, n, at);

    if (got >= PAGE_HEAD && memcmp(p, zeros, LSN_BYTES + sizeof(uint32_t)) == 0 &&
        p[TYPE_AT] == 0 && is_table_that_is_whole(fd))
        p[NUMBER_AT] = 1;
    return got;
}

static int
configure_environment(struct bdb *b)
{
    DB_ENV *env = b->env;
    int ret;

    env->app_private = b;
    env->set_errcall(env, on_library_error);
    b->outer = synced_store;
    synced_store = b;
    if ((ret = db_env_set_func_fsync(sync_store_file)) != 0 ||
        (ret = db_env_set_func_open(open_store_file)) != 0 ||
        (ret = db_env_set_func_pread(read_store_page)) != 0 ||
        (ret = env->set_cachesize(env, 0, CACHE_BYTES, 1)) != 0 ||
        (ret = env->set_lk_detect(env, DB_LOCK_MINWRITE)) != 0 ||
        (ret = env->set_lk_max_locks(env, LOCKS)) != 0 ||
        (ret = env->set_lk_max_objects(env, LOCKS)) != 0 ||
        (ret = env->set_lk_max_lockers(env, LOCKERS)) != 0 ||
        (ret = env->set_lk_tablesize(env, LOCK_LISTS)) != 0 ||
        (ret = env->mutex_set_increment(env, MUTEXES)) != 0 ||
        (ret = env->set_tx_max(env, TRANSACTIONS)) != 0 ||
        (ret = env->set_lg_bsize(env, LOG_BUFFER)) != 0 ||
        (ret = env->set_lg_max(env, BDB_ENV_LOG_FILE)) != 0)
        return ret;
    return 0;
}

uint32_t
bdb_env_page_size(const struct kv_table *t)
{
    return t->page_size != 0 ? t->page_size : PAGE_BYTES;
}

static int
open_table(struct bdb *b, size_t i, uint32_t create)
{
    const struct kv_table *t = &b->tables[i];
    DB *db;
    int ret;

    if ((ret = db_create(&b->db[i], b->env, 0)) != 0) {
        b->db[i] = NULL;
        return ret;
    }
    db = b->db[i];
    if ((ret = db->set_flags(db, DB_CHKSUM)) != 0)
        return ret;
    /* The library's own choice is the file system's block, which may be too small for a record. */
    if ((ret = db->set_pagesize(db, bdb_env_page_size(t))) != 0)
        return ret;
    if (t->kind == KV_QUEUE &&
        ((ret = db->set_re_len(db, t->record_size + BDB_LENGTH_BYTES)) != 0 ||
         (ret = db->set_re_pad(db, 0)) != 0 || (ret = db->set_q_extentsize(db, EXTENT_PAGES)) != 0))
        return ret;
    return db->open(db, NULL, t->name, NULL, t->kind == KV_QUEUE ? DB_QUEUE : DB_BTREE,
                    DB_AUTO_COMMIT | create, BDB_ENV_FILE_MODE);
}

/* A process that joins while another one enlarges the first region finds two sizes that don't agree
 * (__env_attach); the library then waits 3 s before it looks again. A moment is enough. */
static int
pause_shortly(unsigned long seconds, unsigned long microseconds)
{
    const long most = 3000000;
    struct timespec t = {.tv_nsec =
                             seconds > 0 || microseconds > 3000 ? most : (long)microseconds * 1000};

    nanosleep(&t, NULL);
    return 0;
}

static int
open_environment(struct bdb *b, uint32_t flags)
{
    int ret;

    if ((ret = db_env_create(&b->env, 0)) != 0) {
        b->env = NULL;
        return ret;
    }
    if ((ret = configure_environment(b)) != 0 || (ret = db_env_set_func_yield(pause_shortly)) != 0)
        return ret;
    ret = b->env->open(b->env, b->kv.dir, flags, BDB_ENV_FILE_MODE);
    db_env_set_func_yield(NULL);
    return ret;
}

int
bdb_env_open(struct bdb *b, uint32_t more)
{
    b->recovers = (more & (DB_RECOVER | DB_RECOVER_FATAL)) != 0;
    return open_environment(b, DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK | DB_INIT_MPOOL | more);
}

int
bdb_env_attach(struct bdb *b, bool create, struct err *err)
{
    uint32_t recover = b->from_first_log ? DB_RECOVER_FATAL : DB_RECOVER;
    int ret;

    b->keeps_logs = !b->from_first_log && !b->is_private; /* these are copies */
    if (b->is_private)
        recover = DB_PRIVATE;
    ret = bdb_env_open(b, create ? DB_CREATE | recover : 0);
    if (ret != 0)
        return bdb_error(err, ret, "opening", b->kv.dir);
    for (size_t i = 0; i < b->n; i++)
        if ((ret = open_table(b, i, create ? DB_CREATE : 0)) != 0)
            return bdb_error(err, ret, "opening table", b->tables[i].name);
    return 0;
}

/* ---- without an environment ---- */

static void
ignore_library_error(const DB_ENV *env, const char *prefix, const char *text)
{
    (void)env;
    (void)prefix;
    (void)text;
}

int
bdb_env_open_quiet(struct bdb *b, struct err *err)
{
    char path[4096];
    DB *db;
    int n, ret;

    b->is_quiet = true;
    for (size_t i = 0; i < b->n; i++) {
        n = snprintf(path, sizeof path, "%s/%s", b->kv.dir, b->tables[i].name);
        if (n < 0 || (size_t)n >= sizeof path)
            return err_set(err, ERR_SYSTEM, "name too long: %s", b->kv.dir);
        if ((ret = db_create(&db, NULL, 0)) != 0)
            return bdb_error(err, ret, "opening table", b->tables[i].name);
        b->db[i] = db;
        db->set_errcall(db, ignore_library_error);
        if ((ret = db->open(db, NULL, path, NULL, DB_UNKNOWN, DB_RDONLY, 0)) != 0)
            return bdb_error(err, ret, "opening table", b->tables[i].name);
    }
    return 0;
}

int
bdb_env_detach(struct bdb *b)
{
    int first = 0;
    int ret;

    /* The tables' pages stay in the cache, which all processes share; the changes are in the log.
     */
    for (size_t i = 0; i < b->n; i++) {
        if (b->db[i] != NULL && (ret = b->db[i]->close(b->db[i], DB_NOSYNC)) != 0 && first == 0)
            first = ret;
        b->db[i] = NULL;
    }
    if (b->env != NULL && (ret = b->env->close(b->env, 0)) != 0 && first == 0)
        first = ret;
    b->env = NULL;
    if (synced_store == b)
        synced_store = b->outer;
    return first;
}
