#include "storage/kv/kv_bdb.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/banned.h"

/* The environment and its tables: settings, opening, closing, recovery. Every process must make the
 * same settings. */

#define CACHE_BYTES (16u << 20)
#define LOCKS 20000
#define LOCKERS 4000
#define MUTEXES \
    20000 /* each process that dies idle leaves about 51 behind, until the next recovery */
#define TRANSACTIONS 200
#define LOG_BUFFER (1u << 20)
#define LOG_FILE (16u << 20)
#define PAGE_BYTES 4096
#define EXTENT_PAGES 64
#define LINES_MAX 20 /* of the library's, in the log, in LINES_MS */
#define LINES_MS 10000
#define FILE_MODE 0640
#define DIR_MODE 0750

/* What the library has to say. On a full disk that is a line for each page, so there is a limit. */
static void
on_error(const DB_ENV *env, const char *prefix, const char *text)
{
    struct kv *kv = env->app_private;
    uint64_t now = clock_mono_ms();

    (void)prefix;
    if (now - kv->lines_since_ms > LINES_MS) {
        if (kv->lines > LINES_MAX)
            log_line(LOG_ERROR, "berkeley db", "unsaid=%u", kv->lines - LINES_MAX);
        kv->lines = 0;
        kv->lines_since_ms = now;
    }
    if (kv->lines++ < LINES_MAX)
        log_line(LOG_ERROR, "berkeley db", "text=%s", text);
}

struct kv *
bdb_new(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    size_t longest = 0;
    for (size_t i = 0; i < n; i++)
        if (tables[i].kind == KV_QUEUE && tables[i].record_size > longest)
            longest = tables[i].record_size;

    struct kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL)
        goto fail;
    kv->keep_room = -1;
    kv->tables = tables;
    kv->n = n;
    kv->reads.kv = kv;
    kv->txn.kv = kv;
    kv->dir = strdup(dir);
    kv->db = calloc(n, sizeof(DB *));
    kv->record = malloc(longest + BDB_LENGTH_BYTES);
    if (kv->dir == NULL || kv->db == NULL || kv->record == NULL)
        goto fail;
    return kv;

fail:
    bdb_free(kv);
    errno = ENOMEM;
    err_errno(err, "opening %s", dir);
    return NULL;
}

void
bdb_free(struct kv *kv)
{
    if (kv == NULL)
        return;
    fdio_close(kv->keep_room);
    free(kv->db);
    free(kv->dir);
    free(kv->record);
    free(kv);
}

static int
configure(struct kv *kv)
{
    DB_ENV *env = kv->env;
    int ret;

    env->app_private = kv;
    env->set_errcall(env, on_error);
    if ((ret = env->set_cachesize(env, 0, CACHE_BYTES, 1)) != 0 ||
        (ret = env->set_lk_detect(env, DB_LOCK_MINWRITE)) != 0 ||
        (ret = env->set_lk_max_locks(env, LOCKS)) != 0 ||
        (ret = env->set_lk_max_objects(env, LOCKS)) != 0 ||
        (ret = env->set_lk_max_lockers(env, LOCKERS)) != 0 ||
        (ret = env->mutex_set_increment(env, MUTEXES)) != 0 ||
        (ret = env->set_tx_max(env, TRANSACTIONS)) != 0 ||
        (ret = env->set_lg_bsize(env, LOG_BUFFER)) != 0 ||
        (ret = env->set_lg_max(env, LOG_FILE)) != 0)
        return ret;
    return 0;
}

static int
open_table(struct kv *kv, size_t i, uint32_t create)
{
    const struct kv_table *t = &kv->tables[i];
    DB *db;
    int ret;

    if ((ret = db_create(&kv->db[i], kv->env, 0)) != 0) {
        kv->db[i] = NULL;
        return ret;
    }
    db = kv->db[i];
    if ((ret = db->set_flags(db, DB_CHKSUM)) != 0)
        return ret;
    /* The library's own choice is the file system's block, which may be too small for a record. */
    if ((ret = db->set_pagesize(db, t->page_size != 0 ? t->page_size : PAGE_BYTES)) != 0)
        return ret;
    if (t->kind == KV_QUEUE &&
        ((ret = db->set_re_len(db, t->record_size + BDB_LENGTH_BYTES)) != 0 ||
         (ret = db->set_re_pad(db, 0)) != 0 || (ret = db->set_q_extentsize(db, EXTENT_PAGES)) != 0))
        return ret;
    return db->open(db, NULL, t->name, NULL, t->kind == KV_QUEUE ? DB_QUEUE : DB_BTREE,
                    DB_AUTO_COMMIT | create, FILE_MODE);
}

/* Whoever joins while another process makes the first region larger finds two sizes that don't
 * agree
 * (__env_attach), and the library then waits 3 s before it looks again. A moment is enough. */
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
open_environment(struct kv *kv, uint32_t flags)
{
    int ret;

    if ((ret = configure(kv)) != 0 || (ret = db_env_set_func_yield(pause_shortly)) != 0)
        return ret;
    ret = kv->env->open(kv->env, kv->dir, flags, FILE_MODE);
    db_env_set_func_yield(NULL);
    return ret;
}

int
bdb_attach(struct kv *kv, bool create, struct err *err)
{
    uint32_t flags = DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK | DB_INIT_MPOOL;
    int ret;

    if ((ret = db_env_create(&kv->env, 0)) != 0) {
        kv->env = NULL;
        bdb_error(err, ret, "opening", kv->dir);
        return -1;
    }
    if (create)
        flags |= DB_CREATE | DB_RECOVER;
    if ((ret = open_environment(kv, flags)) != 0)
        return bdb_error(err, ret, "opening", kv->dir);
    for (size_t i = 0; i < kv->n; i++)
        if ((ret = open_table(kv, i, create ? DB_CREATE : 0)) != 0)
            return bdb_error(err, ret, "opening table", kv->tables[i].name);
    return 0;
}

int
bdb_detach(struct kv *kv)
{
    int first = 0;
    int ret;

    /* The tables' pages stay in the cache, which is everybody's: their changes are in the log. */
    for (size_t i = 0; i < kv->n; i++) {
        if (kv->db[i] != NULL && (ret = kv->db[i]->close(kv->db[i], DB_NOSYNC)) != 0 && first == 0)
            first = ret;
        kv->db[i] = NULL;
    }
    if (kv->env != NULL && (ret = kv->env->close(kv->env, 0)) != 0 && first == 0)
        first = ret;
    kv->env = NULL;
    return first;
}

/* ---- recovery ---- */

/* Which extent files a queue needs. */
struct extents {
    uint32_t first;
    uint32_t last;
};

/* From the queue's page of metadata, as its file has it after a checkpoint: the library tells all
 * of this but the records a page. False when it isn't understood. */
static bool
read_extents(int dirfd, const char *name, struct extents *out)
{
    enum {
        MAGIC = 3,
        VERSION = 4,
        FIRST_RECNO = 18,
        CUR_RECNO = 19,
        REC_PAGE = 22,
        PAGE_EXT = 23,
    };
    uint32_t meta[PAGE_EXT + 1];

    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool whole = pread(fd, meta, sizeof meta, 0) == (ssize_t)sizeof meta;
    fdio_close(fd);
    if (!whole || meta[MAGIC] != 0x42253 || meta[VERSION] != 4)
        return false;

    uint32_t first = meta[FIRST_RECNO];
    uint32_t next = meta[CUR_RECNO];
    uint64_t records = (uint64_t)meta[REC_PAGE] * meta[PAGE_EXT];
    if (records == 0 || first == 0 || first > next)
        return false;
    out->first = (uint32_t)((first - 1) / records);
    out->last = (uint32_t)((next - 1) / records);
    return true;
}

/* Recovery makes extent files anew in order to repeat what was deleted from them, and leaves them
 * behind. */
static int
remove_stale_extents(int dirfd, const char *name, struct err *err)
{
    char prefix[256];
    struct extents keep;

    int n = snprintf(prefix, sizeof prefix, "__dbq.%s.", name);
    if (n < 0 || (size_t)n >= sizeof prefix)
        return err_set(err, ERR_SYSTEM, "table name too long: %s", name);
    if (!read_extents(dirfd, name, &keep)) {
        log_line(LOG_WARN, "queue not understood, stale files stay", "table=%s", name);
        return 0;
    }

    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        fdio_close(fd);
        return err_errno(err, "reading the directory of table %s", name);
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        uint64_t i;
        if (strncmp(e->d_name, prefix, (size_t)n) != 0 ||
            !parse_u64(e->d_name + n, strlen(e->d_name + n), &i))
            continue;
        if ((i < keep.first || i > keep.last) && unlinkat(dirfd, e->d_name, 0) != 0)
            log_line(LOG_WARN, "stale file of a queue stays", "file=%s errno=%d", e->d_name, errno);
    }
    closedir(d);
    return 0;
}

/* The regions are mapped files that grow, with holes. A hole that can't be filled because the disk
 * is full is a SIGBUS for whoever touches it, and with that a recovery, which has no room either.
 * So all that they may ever need is allocated while they are mapped: only then is it known how
 * much. */
static int
fill_regions(const char *dir, struct err *err)
{
    char line[4500];
    int ret = 0;

    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return err_errno(err, "reading /proc/self/maps");
    while (ret == 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from, to;
        char path[4200];
        const char *name = strstr(line, "/__db.");
        if (name == NULL || sscanf(line, "%llx-%llx", &from, &to) != 2)
            continue;
        snprintf(path, sizeof path, "%s%.*s", dir, (int)strcspn(name, "\n"), name);
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 ||
            (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(to - from)) != 0 && errno != EOPNOTSUPP))
            ret = err_errno(err, "allocating %s", path);
        fdio_close(fd);
    }
    fclose(maps);
    return ret;
}

/* After the library is done with it. */
static int
tidy(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    int ret = 0;
    for (size_t i = 0; ret == 0 && i < n; i++)
        if (tables[i].kind == KV_QUEUE)
            ret = remove_stale_extents(dirfd, tables[i].name, err);
    if (ret == 0)
        ret = fdio_fsync(dirfd, dir, err);
    fdio_close(dirfd);
    return ret;
}

/* On a full disk the library says only that recovery is needed: says what would help. */
static void
blame_disk(const char *dir, struct err *err)
{
    char why[ERR_MESSAGE_MAX];
    struct statvfs fs;

    if (err->code == ERR_NO_SPACE || statvfs(dir, &fs) != 0 ||
        (uint64_t)fs.f_bavail * fs.f_frsize >= LOG_FILE)
        return;
    memcpy(why, err->message, sizeof why);
    err_set(err, ERR_NO_SPACE, "the disk is full: %s", why);
}

int
kv_recover(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    if (fdio_mkdir(AT_FDCWD, dir, DIR_MODE, err) < 0)
        return -1;
    struct kv *kv = bdb_new(dir, tables, n, err);
    if (kv == NULL)
        return -1;

    int ret = bdb_attach(kv, true, err);
    if (ret == 0) {
        int code = kv->env->txn_checkpoint(kv->env, 0, 0, DB_FORCE);
        if (code != 0)
            ret = bdb_error(err, code, "checkpoint of", dir);
        else
            ret = fill_regions(dir, err);
    }
    int code = bdb_detach(kv);
    bdb_free(kv);
    if (code != 0 && ret == 0)
        ret = bdb_error(err, code, "closing", dir);
    if (ret == 0)
        ret = tidy(dir, tables, n, err);
    if (ret != 0)
        blame_disk(dir, err);
    return ret;
}
