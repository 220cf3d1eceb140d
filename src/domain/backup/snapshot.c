#include "domain/backup/snapshot.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/backup/store_copy.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_backup.h"
#include "storage/tables/tables.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"
#include "util/parse.h"

#define SNAPSHOTS "snapshots"
#define LOGS "snapshots/logs"
#define UNFINISHED SNAPSHOT_COPY
#define FIRST_LOG "first-log" /* in a snapshot: the number of the first log that follows it */
#define STORE "db"
#define RESTORED STORE "/" SNAPSHOT_RESTORED
#define COPIED "copied\n" /* in RESTORED: the copy of the database is complete */
#define COMPARE_PIECE 65536

/* ---- lists ---- */

static int
compare_snapshots(const void *a, const void *b)
{
    return strcmp(a, b);
}

int
snapshot_list(int root, struct snapshots *s, struct err *err)
{
    DIR *dir = fdio_opendir(root, SNAPSHOTS, err);

    *s = (struct snapshots){0};
    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (!backup_info_is_time(e->d_name))
            continue;
        s->names = mem_grow(s->names, &s->room, s->n + 1, sizeof *s->names);
        snprintf(s->names[s->n++], BACKUP_TIME_MAX, "%.*s", BACKUP_TIME_MAX - 1, e->d_name);
    }
    closedir(dir);
    if (s->n > 0)
        qsort(s->names, s->n, sizeof *s->names, compare_snapshots);
    return 0;
}

static void
name_snapshot(char out[64], const char *name)
{
    snprintf(out, 64, SNAPSHOTS "/%s", name);
}

static int
remove_snapshot(int root, const char *name, struct err *err)
{
    char path[64];

    /* Half of one is never taken for one. */
    name_snapshot(path, name);
    if (fdio_remove_tree(root, UNFINISHED, err) != 0)
        return -1;
    if (renameat(root, path, root, UNFINISHED) != 0)
        return err_errno(err, "cannot rename %s", path);
    return fdio_remove_tree(root, UNFINISHED, err);
}

int
snapshot_drop_oldest(int root, struct err *err)
{
    struct snapshots s;
    int rc = snapshot_list(root, &s, err);

    if (rc == 0 && s.n > 1)
        rc = remove_snapshot(root, s.names[0], err) == 0 ? 1 : -1;
    free(s.names);
    return rc;
}

/* ---- logs ---- */

/* Calls fn for each log in a directory. */
static int
each_log(int root, const char *directory,
         int (*fn)(int dirfd, const char *name, uint32_t number, void *arg, struct err *err),
         void *arg, struct err *err)
{
    DIR *dir = fdio_opendir(root, directory, err);
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        uint32_t number = kv_backup_log_number(e->d_name);

        if (number > 0)
            rc = fn(dirfd(dir), e->d_name, number, arg, err);
    }
    closedir(dir);
    return rc;
}

struct log_span {
    uint32_t first, last;
    size_t n;
    uint64_t bytes, alone;
};

static int
measure_log(int dirfd, const char *name, uint32_t number, void *arg, struct err *err)
{
    struct log_span *span = arg;
    struct stat st;

    (void)err;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    if (span->n == 0 || number < span->first)
        span->first = number;
    if (number > span->last)
        span->last = number;
    span->n++;
    span->bytes += (uint64_t)st.st_blocks * 512;
    if (st.st_nlink == 1)
        span->alone += (uint64_t)st.st_blocks * 512;
    return 0;
}

static struct log_span
span_of_logs(int root, const char *directory)
{
    struct log_span span = {0};
    struct err ignored;

    each_log(root, directory, measure_log, &span, &ignored);
    return span;
}

void
snapshot_measure_logs(int root, uint64_t *bytes, uint64_t *alone)
{
    struct log_span span = span_of_logs(root, LOGS);

    *bytes = span.bytes;
    *alone = span.alone;
}

bool
snapshot_first_log(int root, const char *name, uint32_t *first)
{
    char path[96];
    struct buf text;
    struct err ignored;
    uint64_t number = 0;
    bool good;

    snprintf(path, sizeof path, SNAPSHOTS "/%s/" FIRST_LOG, name);
    buf_init(&text, 32);
    good = fdio_read_file(root, path, &text, &ignored) == 1 &&
           parse_u64(buf_text(&text), strcspn(buf_text(&text), "\n"), &number) &&
           number <= UINT32_MAX;
    buf_free(&text);
    *first = (uint32_t)number;
    return good;
}

/* Are all logs there, from that one to the last? */
static bool
has_logs_from(int root, uint32_t first)
{
    struct log_span span = span_of_logs(root, LOGS);

    return span.n > 0 && span.first <= first && span.last >= first &&
           span.n == (size_t)(span.last - span.first) + 1;
}

static int
find_log(int dirfd, const char *name, uint32_t number, void *arg, struct err *err)
{
    uint32_t *wanted = arg;

    (void)dirfd;
    (void)name;
    (void)err;
    if (number == *wanted)
        *wanted = 0;
    return 0;
}

bool
snapshot_has_log(int root, uint32_t number)
{
    struct err ignored;

    return each_log(root, LOGS, find_log, &number, &ignored) == 0 && number == 0;
}

bool
snapshot_is_continuous(int root)
{
    struct snapshots s;
    struct err ignored;
    uint32_t first = 1;
    bool good = snapshot_list(root, &s, &ignored) == 0 &&
                (s.n == 0 || snapshot_first_log(root, s.names[s.n - 1], &first)) &&
                has_logs_from(root, first);

    free(s.names);
    return good;
}

static int
drop_log_alone(int dirfd, const char *name, uint32_t number, void *arg, struct err *err)
{
    struct stat st;

    (void)number;
    (void)arg;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 1 &&
        unlinkat(dirfd, name, 0) != 0)
        return err_errno(err, "cannot remove " LOGS "/%s", name);
    return 0;
}

int
snapshot_drop_logs(int root, struct err *err)
{
    return each_log(root, LOGS, drop_log_alone, NULL, err);
}

static int
drop_log_before(int dirfd, const char *name, uint32_t number, void *arg, struct err *err)
{
    const uint32_t *first = arg;

    if (number < *first && unlinkat(dirfd, name, 0) != 0 && errno != ENOENT)
        return err_errno(err, "cannot remove " LOGS "/%s", name);
    return 0;
}

/* Those that were begun before snapshots/ was there. */
static int
link_log(int dirfd, const char *name, uint32_t number, void *arg, struct err *err)
{
    const int *root = arg;
    char path[320];
    struct stat here, there;

    (void)number;
    snprintf(path, sizeof path, LOGS "/%.255s", name);
    if (fstatat(dirfd, name, &here, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    if (fstatat(*root, path, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (here.st_ino == there.st_ino)
            return 0;
        unlinkat(*root, path, 0);
    }
    if (linkat(dirfd, name, *root, path, 0) != 0)
        return err_errno(err, "cannot link %s", path);
    return 0;
}

/* ---- taking one ---- */

static bool
are_files_equal(int a, int b)
{
    char *room = mem_alloc(2 * COMPARE_PIECE);
    ssize_t n = 0, m = 0;
    bool equal = true;

    for (uint64_t at = 0; equal; at += (uint64_t)n) {
        n = fdio_read_at(a, room, COMPARE_PIECE, at);
        m = fdio_read_at(b, room + COMPARE_PIECE, COMPARE_PIECE, at);
        equal = n >= 0 && n == m && memcmp(room, room + COMPARE_PIECE, (size_t)n) == 0;
        if (n <= 0)
            break;
    }
    free(room);
    return equal;
}

/* A table that hasn't changed gets the file of the snapshot before. */
static void
share_file(int root, const char *before, const char *name)
{
    char old[320], new[320];
    int a, b;

    snprintf(old, sizeof old, SNAPSHOTS "/%s/%s", before, name);
    snprintf(new, sizeof new, UNFINISHED "/%s", name);
    a = openat(root, old, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    b = openat(root, new, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (a >= 0 && b >= 0 && are_files_equal(a, b) &&
        linkat(root, old, root, UNFINISHED "/shared", 0) == 0)
        renameat(root, UNFINISHED "/shared", root, new);
    fdio_close(a);
    fdio_close(b);
}

static int
share_unchanged(int root, struct err *err)
{
    struct snapshots s;
    int rc = snapshot_list(root, &s, err);
    DIR *dir = rc == 0 && s.n > 0 ? fdio_opendir(root, UNFINISHED, err) : NULL;

    if (dir != NULL) {
        for (size_t i = 0; i < TABLE_COUNT; i++)
            share_file(root, s.names[s.n - 1], tables[i].name);
        closedir(dir);
    }
    free(s.names);
    return rc;
}

static int
note_first_log(int root, uint32_t first, struct err *err)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%u\n", first);

    return fdio_replace_file(root, UNFINISHED "/" FIRST_LOG, 0600, bytes_of(text, (size_t)n), err);
}

/* Gives the copy its name, which is greater than the names of all others: they are older, and the
 * logs don't continue them. */
static int
publish_snapshot(int root, uint64_t moment_ms, char name[BACKUP_TIME_MAX], struct err *err)
{
    static const char below[] = SNAPSHOTS "/";
    struct snapshots s;
    char path[BACKUP_PATH_MAX];
    uint64_t second;
    int rc = snapshot_list(root, &s, err);

    second = backup_info_next(moment_ms, s.n > 0 ? s.names[s.n - 1] : NULL);
    free(s.names);
    if (rc != 0 || backup_info_rename(root, UNFINISHED, below, second, path, err) != 0)
        return -1;
    snprintf(name, BACKUP_TIME_MAX, "%.*s", BACKUP_TIME_MAX - 1, path + strlen(below));
    return fdio_fsync_dir(root, SNAPSHOTS, err);
}

static int
trim_snapshots(int root, size_t keep, struct err *err)
{
    struct snapshots s;
    int rc = snapshot_list(root, &s, err);

    for (size_t i = 0; rc == 0 && i + keep < s.n; i++)
        rc = remove_snapshot(root, s.names[i], err);
    free(s.names);
    return rc;
}

int
snapshot_begin_copy(int root, const char *store, struct err *err)
{
    uint64_t bytes;

    if (fdio_remove_tree(root, UNFINISHED, err) != 0 ||
        store_copy_measure(root, store, &bytes, err) != 0 ||
        disk_space_check(root, bytes, err) != 0)
        return -1;
    return fdio_mkdir(root, UNFINISHED, 0700, err) < 0 ? -1 : 0;
}

int
snapshot_end_copy(int root, const char *store, struct err *err)
{
    if (share_unchanged(root, err) != 0 ||
        note_first_log(root, span_of_logs(root, store).first, err) != 0)
        return -1;
    return fdio_fsync_dir(root, UNFINISHED, err);
}

int
snapshot_mark_restored(int root, const char *store, bool is_copied, struct err *err)
{
    char path[128];

    snprintf(path, sizeof path, "%s/" SNAPSHOT_RESTORED, store);
    return fdio_replace_file(root, path, 0600, bytes_str(is_copied ? COPIED : ""), err);
}

static int
put_logs_aside(int root, struct err *err)
{
    char aside[BACKUP_PATH_MAX];

    if (backup_info_rename(root, LOGS, LOGS ".", clock_wall_ms() / 1000, aside, err) != 0 &&
        err->sys != ENOENT)
        return -1;
    if (fdio_mkdir(root, LOGS, 0700, err) < 0)
        return -1;
    return fdio_fsync_dir(root, SNAPSHOTS, err);
}

static int
publish_copy(int root, struct err *err)
{
    char name[BACKUP_TIME_MAX];

    if (each_log(root, STORE, link_log, &root, err) != 0 || fdio_fsync_dir(root, LOGS, err) != 0)
        return -1;
    return publish_snapshot(root, clock_wall_ms(), name, err);
}

/* Reads the marker. 1: a copy waits for its name; 0: no copy was made; 2: the copy has its name;
 * -1. */
static int
find_copy(int root, struct err *err)
{
    struct buf text;
    int rc;

    buf_init(&text, sizeof COPIED);
    rc = fdio_read_file(root, RESTORED, &text, err) < 0 ? -1 : strcmp(buf_text(&text), COPIED) == 0;
    buf_free(&text);
    if (rc == 1 && faccessat(root, UNFINISHED, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        rc = errno == ENOENT ? 2 : err_errno(err, "cannot look for " UNFINISHED);
    return rc;
}

int
snapshot_settle_restored(int root, struct err *err)
{
    int copy;

    if (faccessat(root, RESTORED, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    copy = find_copy(root, err);
    if (copy < 0 || (copy != 2 && put_logs_aside(root, err) != 0) ||
        (copy == 1 && publish_copy(root, err) != 0))
        return -1;
    if (unlinkat(root, RESTORED, 0) != 0)
        return err_errno(err, "cannot remove " RESTORED);
    return fdio_fsync_dir(root, STORE, err);
}

static int
take_locked(const struct registry *reg, size_t keep, char name[BACKUP_TIME_MAX],
            bool (*is_over)(void *arg), void *arg, struct err *err)
{
    int root = reg->dirfd;
    uint32_t first = span_of_logs(root, STORE).first;
    uint64_t moment;

    if (snapshot_settle_restored(root, err) != 0 ||
        each_log(root, STORE, link_log, &root, err) != 0 ||
        store_copy_make(reg, UNFINISHED, &moment, is_over, arg, err) != 0)
        return -1;
    if (share_unchanged(root, err) != 0 || note_first_log(root, first, err) != 0 ||
        publish_snapshot(root, moment, name, err) != 0)
        return -1;
    if (each_log(root, LOGS, drop_log_before, &first, err) != 0 ||
        fdio_fsync_dir(root, LOGS, err) != 0)
        return -1;
    return trim_snapshots(root, keep, err);
}

int
snapshot_take(const struct registry *reg, size_t keep, char name[BACKUP_TIME_MAX],
              const struct backup_lock_wait *wait, struct err *err)
{
    struct err ignored;
    int rc, lock = backup_lock_take(reg->dirfd, wait, err);

    if (lock < 0)
        return -1;
    rc = take_locked(reg, keep, name, wait->is_over, wait->arg, err);
    if (rc != 0)
        fdio_remove_tree(reg->dirfd, UNFINISHED, &ignored);
    fdio_close(lock);
    return rc;
}
