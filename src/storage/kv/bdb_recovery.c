#include "storage/kv/bdb_recovery.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_fresh.h"
#include "storage/kv/bdb_log_end.h"
#include "storage/kv/kv_backup.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/parse.h"

#define DIR_MODE 0750

/* The extent files that a queue needs. */
struct extents {
    uint32_t first;
    uint32_t last;
};

/* Reads them from the queue's page of metadata, as its file has it after a checkpoint: the library
 * reports all of this except the records a page. False: that page has another format. */
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
    uint32_t meta[PAGE_EXT + 1], first, next;
    uint64_t records;
    bool is_whole;
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return false;
    is_whole = pread(fd, meta, sizeof meta, 0) == (ssize_t)sizeof meta;
    fdio_close(fd);
    if (!is_whole || meta[MAGIC] != 0x42253 || meta[VERSION] != 4)
        return false;

    first = meta[FIRST_RECNO];
    next = meta[CUR_RECNO];
    records = (uint64_t)meta[REC_PAGE] * meta[PAGE_EXT];
    if (records == 0 || first == 0 || first > next)
        return false;
    out->first = (uint32_t)((first - 1) / records);
    out->last = (uint32_t)((next - 1) / records);
    return true;
}

/* Recovery creates extent files again in order to repeat what was deleted from them, and leaves
 * them behind. */
static int
remove_stale_extents(int dirfd, const char *name, struct err *err)
{
    char prefix[256];
    struct extents keep;
    uint64_t i;
    DIR *dir;
    int n = snprintf(prefix, sizeof prefix, "__dbq.%s.", name);

    if (n < 0 || (size_t)n >= sizeof prefix)
        return err_set(err, ERR_SYSTEM, "table name too long: %s", name);
    if (!read_extents(dirfd, name, &keep)) {
        log_line(LOG_WARN, "queue not understood, stale files stay", "table=%s", name);
        return 0;
    }

    dir = fdio_opendir(dirfd, ".", err);
    if (dir == NULL)
        return -1;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strncmp(e->d_name, prefix, (size_t)n) != 0 ||
            !parse_u64(e->d_name + n, strlen(e->d_name + n), &i))
            continue;
        if ((i < keep.first || i > keep.last) && unlinkat(dirfd, e->d_name, 0) != 0)
            log_line(LOG_WARN, "stale file of a queue stays", "file=%s errno=%d", e->d_name, errno);
    }
    closedir(dir);
    return 0;
}

/* The regions are mapped files that grow, with holes. If the disk is full, filling a hole fails
 * with SIGBUS in the process that touches it, and then a recovery is needed, which has no room
 * either. So all that they may ever need is allocated here, while they are mapped: only then their
 * final sizes are known. */
static int
fill_regions(const char *dir, struct err *err)
{
    char line[4500], path[4200];
    unsigned long long from, to;
    const char *name;
    FILE *maps = fopen("/proc/self/maps", "re");
    int fd, rc = 0;

    if (maps == NULL)
        return err_errno(err, "reading /proc/self/maps");
    while (rc == 0 && fgets(line, sizeof line, maps) != NULL) {
        name = strstr(line, "/__db.");
        if (name == NULL || sscanf(line, "%llx-%llx", &from, &to) != 2)
            continue;
        snprintf(path, sizeof path, "%s%.*s", dir, (int)strcspn(name, "\n"), name);
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 ||
            (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(to - from)) != 0 && errno != EOPNOTSUPP))
            rc = err_errno(err, "allocating %s", path);
        fdio_close(fd);
    }
    fclose(maps);
    return rc;
}

int
bdb_recovery_tidy(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    int rc = 0, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (tables[i].kind == KV_QUEUE)
            rc = remove_stale_extents(dirfd, tables[i].name, err);
    if (rc == 0)
        rc = fdio_fsync(dirfd, dir, err);
    fdio_close(dirfd);
    return rc;
}

/* On a full disk the library reports only that recovery is needed: adds what would help. */
static void
blame_full_disk(const char *dir, struct err *err)
{
    char why[ERR_MESSAGE_MAX];

    if (err->code == ERR_NO_SPACE || !bdb_env_disk_is_full(dir))
        return;
    memcpy(why, err->message, sizeof why);
    err_set(err, ERR_NO_SPACE, "the disk is full: %s", why);
}

/* Bytes that were written, but never reached the disk because an fsync failed, may still be in the
 * memory of the kernel as if they were on the disk: recovery would find nothing to repeat, and a
 * later power loss would show the old bytes. So the kernel drops its clean pages, and recovery
 * reads the disk. Pages that still wait to be written stay. */
static void
forget_cached_files(const char *dir)
{
    struct err ignored;
    struct dirent *e;
    DIR *d = fdio_opendir(AT_FDCWD, dir, &ignored);
    int fd;

    while (d != NULL && (e = readdir(d)) != NULL) {
        fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd >= 0)
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        fdio_close(fd);
    }
    if (d != NULL)
        closedir(d);
}

/* A system call failed, and the library reports only that recovery is needed. */
static void
blame_fault(int fault, struct err *err)
{
    char why[ERR_MESSAGE_MAX];

    if (fault == 0 || err->code == ERR_NO_SPACE || err->code == ERR_FAULT)
        return;
    memcpy(why, err->message, sizeof why);
    errno = fault;
    err_errno(err, "%.150s", why);
}

static int
recover_environment(const char *dir, const struct kv_table *tables, size_t n, bool is_fresh,
                    struct err *err)
{
    struct bdb *b = bdb_new(dir, tables, n);
    int ret, rc;

    b->is_fresh = is_fresh;
    forget_cached_files(dir);
    rc = bdb_env_attach(b, true, err);

    if (rc == 0 && (ret = b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE)) != 0)
        rc = bdb_error(err, ret, "checkpoint of", dir);
    if (rc == 0)
        bdb_log_end_note(b);
    if (rc == 0)
        rc = fill_regions(dir, err);
    ret = bdb_env_detach(b);
    if (ret != 0 && rc == 0)
        rc = bdb_error(err, ret, "closing", dir);
    if (rc != 0)
        blame_fault(b->fault, err);
    bdb_free(b);
    return rc;
}

/* ---- files that were lost ---- */

/* The highest number of a log in a directory; 0: there is none. */
static uint32_t
find_newest_log(int dirfd, const char *name)
{
    struct err ignored;
    DIR *dir = fdio_opendir(dirfd, name, &ignored);
    uint32_t newest = 0;

    if (dir == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint32_t number = bdb_env_log_number(e->d_name);

        if (number > newest)
            newest = number;
    }
    closedir(dir);
    return newest;
}

/* The library would begin a new log, whose numbers the pages are ahead of. A log that is gone has
 * another name below KV_BACKUP_LOGS, unless those are the logs of a database that was replaced. */
static int
check_logs_are_there(int dirfd, const char *dir, struct err *err)
{
    uint32_t newest = find_newest_log(dirfd, "."), kept = 0;

    if (faccessat(dirfd, "restored", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        kept = find_newest_log(dirfd, "../" KV_BACKUP_LOGS);
    if (newest == 0)
        return err_set(err, ERR_CORRUPT, "the logs in %s are gone", dir);
    if (newest < kept)
        return err_set(err, ERR_CORRUPT, "the log %u is gone from %s", kept, dir);
    return 0;
}

#define TABLES_NAME "tables"
#define TABLES_TEXT_MAX 4096

static bool
is_a_table(const struct kv_table *tables, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tables[i].name, name) == 0)
            return true;
    return false;
}

/* The library would make a missing table again, without its records. So the tables that a recovery
 * has made durable are named in a file. Another word there is a damage of that file, which the
 * recovery writes anew. */
static int
check_files_are_there(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct buf text;

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    buf_init(&text, TABLES_TEXT_MAX);
    rc = fdio_read_file(dirfd, TABLES_NAME, &text, err);
    for (char *line = text.p; rc == 1 && line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');

        if (end != NULL)
            *end++ = '\0';
        if (is_a_table(tables, n, line) && faccessat(dirfd, line, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno == ENOENT)
            rc = err_set(err, ERR_CORRUPT, "table %s is missing in %s", line, dir);
        line = end;
    }
    if (rc == 1)
        rc = check_logs_are_there(dirfd, dir, err);
    buf_free(&text);
    fdio_close(dirfd);
    return rc < 0 ? -1 : 0;
}

/* A table whose file was cut still opens, and fails where pages are missing. After a checkpoint all
 * pages up to the last one that the page of metadata knows are in the file. */
static bool
is_table_cut(int dirfd, const char *name)
{
    enum {
        MAGIC = 3,
        PAGE_SIZE = 5,
        LAST_PAGE = 8,
    };
    uint32_t meta[LAST_PAGE + 1];
    struct stat st;
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_cut = fd >= 0 && pread(fd, meta, sizeof meta, 0) == (ssize_t)sizeof meta &&
                  fstat(fd, &st) == 0 && meta[MAGIC] == 0x53162 &&
                  (uint64_t)st.st_size < ((uint64_t)meta[LAST_PAGE] + 1) * meta[PAGE_SIZE];

    fdio_close(fd);
    return is_cut;
}

/* 0; 1: one was cut, and err says which. */
static int
look_for_cut_tables(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    int rc = 0, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; dirfd >= 0 && i < n; i++) {
        if (tables[i].kind != KV_ORDERED || !is_table_cut(dirfd, tables[i].name))
            continue;
        rc = 1;
        err_set(err, ERR_CORRUPT,
                "table %s was cut: stop the server, and put the database back with "
                "docker-registry-server restore --snapshot",
                tables[i].name);
        log_line(LOG_ERROR,
                 "a table was cut: stop the server, and put the database back with "
                 "docker-registry-server restore --snapshot",
                 "table=%s dir=%s", tables[i].name, dir);
    }
    fdio_close(dirfd);
    return rc;
}

/* The text of that file. */
static void
put_list(struct buf *text, const struct kv_table *tables, size_t n)
{
    buf_init(text, TABLES_TEXT_MAX);
    for (size_t i = 0; i < n; i++)
        buf_putf(text, "%s\n", tables[i].name);
}

static int
note_tables(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct buf text, before;

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    put_list(&text, tables, n);
    buf_init(&before, TABLES_TEXT_MAX);
    rc = fdio_read_file(dirfd, TABLES_NAME, &before, err);
    if (rc == 0 || (rc == 1 && !bytes_equal(buf_bytes(&text), buf_bytes(&before))))
        rc = fdio_replace_file(dirfd, TABLES_NAME, 0600, buf_bytes(&text), err);
    buf_free(&text);
    buf_free(&before);
    fdio_close(dirfd);
    return rc < 0 ? -1 : 0;
}

/* 1: the store is new; 0; -1. */
static int
begin_recovery(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    struct buf text;
    int rc;

    put_list(&text, tables, n);
    rc = bdb_fresh_begin(dir, tables, n, TABLES_NAME, buf_bytes(&text), err);
    buf_free(&text);
    if (rc != 0)
        return rc;
    if (check_files_are_there(dir, tables, n, err) != 0 || bdb_log_end_check(dir, err) != 0 ||
        bdb_log_end_begin(dir, err) != 0)
        return -1;
    return 0;
}

static int
end_recovery(const char *dir, const struct kv_table *tables, size_t n, bool is_fresh,
             struct err *err)
{
    if (is_fresh)
        return bdb_fresh_end(dir, TABLES_NAME, err);
    if (bdb_recovery_tidy(dir, tables, n, err) != 0)
        return -1;
    return note_tables(dir, tables, n, err);
}

int
bdb_recovery_run(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    char parent[4200];
    int fresh, made = fdio_mkdir(AT_FDCWD, dir, DIR_MODE, err);

    if (made < 0)
        return -1;
    snprintf(parent, sizeof parent, "%s/..", dir);
    if (made > 0 && fdio_fsync_dir(AT_FDCWD, parent, err) != 0)
        return -1;
    fresh = begin_recovery(dir, tables, n, err);
    if (fresh < 0)
        return -1;
    if (recover_environment(dir, tables, n, fresh == 1, err) == 0 &&
        end_recovery(dir, tables, n, fresh == 1, err) == 0)
        return look_for_cut_tables(dir, tables, n, err);
    blame_full_disk(dir, err);
    return -1;
}
