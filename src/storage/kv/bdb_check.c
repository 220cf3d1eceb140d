#include "storage/kv/bdb_check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/kv/bdb.h"
#include "storage/kv/bdb_blank.h"
#include "storage/kv/bdb_copy.h"
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_log_read.h"
#include "util/fdio.h"
#include "util/mem.h"
#include "util/parse.h"

/* The order: logs, then the pages' places in the log, then their checksums, then a recovery, then
 * the form of each table. After a fault of the logs or of places there is no recovery: it makes a
 * new log after one that is missing. All damaged pages are named before it, because it can write
 * one anew. The library ends a log silently at the first record with a wrong checksum; the places
 * tell. */

#define PIECE (1u << 20)
#define PAGE_LEAST 512
#define PAGE_MOST 65536
#define TABLES_LIST_MAX 4096
#define CHECKPOINT_RECORD 11 /* DB___txn_ckp */

struct file_check {
    const char *dir;
    const struct kv_table *tables;
    size_t n;
    kv_check_fault *fault;
    kv_copy_tick *tick;
    void *arg;
    unsigned faults;
    uint32_t first_log, last_log; /* the numbers; 0: there is none */
    DB_LSN end;                   /* the last record of the log */
    char said[ERR_MESSAGE_MAX];   /* what the library says of a file */
    bool recovered;
};

static void report_fault(struct file_check *c, const char *file, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
report_fault(struct file_check *c, const char *file, const char *fmt, ...)
{
    char why[ERR_MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    c->faults++;
    c->fault(c->arg, file, why);
}

/* ---- the logs ---- */

static int
list_logs(struct file_check *c, struct err *err)
{
    uint32_t number, count = 0;
    char name[16];
    DIR *d = fdio_opendir(AT_FDCWD, c->dir, err);

    if (d == NULL)
        return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (bdb_copy_is_log(e->d_name, &number)) {
            count++;
            if (c->first_log == 0 || number < c->first_log)
                c->first_log = number;
            if (number > c->last_log)
                c->last_log = number;
        }
    if (count > 0 && count < c->last_log - c->first_log + 1)
        for (uint32_t i = c->first_log; i < c->last_log; i++) {
            snprintf(name, sizeof name, "log.%010u", i);
            if (faccessat(dirfd(d), name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
                report_fault(c, name, "this log is missing, and there are older ones");
        }
    closedir(d);
    if (count == 0)
        report_fault(c, "log.0000000001", "there is no log at all");
    return 0;
}

/* Reads all records. *oldest: what a recovery from the last checkpoint needs. */
static int
walk_log(struct file_check *c, struct bdb_log_read *r, DB_LSN *oldest, struct err *err)
{
    uint32_t type, log = 0;
    char name[BDB_LOG_READ_NAME_MAX];
    int ret, rc = 0;

    while (rc == 0 && (ret = bdb_log_read_next(r)) == 0) {
        if (r->at.file != log)
            rc = c->tick(c->arg, 0, err);
        log = r->at.file;
        memcpy(&type, r->record.data, sizeof type);
        if (r->record.size >= 24 && type == CHECKPOINT_RECORD)
            memcpy(oldest, (const uint8_t *)r->record.data + 16, sizeof *oldest);
    }
    c->end = r->at;
    if (rc != 0 || ret == DB_NOTFOUND)
        return rc;
    bdb_log_read_name(name, log != 0 ? log : c->first_log);
    report_fault(c, name, "behind byte %u it can't be read: %s", r->at.offset,
                 r->said[0] != '\0' ? r->said : db_strerror(ret));
    return 0;
}

static int
check_log_end(struct file_check *c, struct err *err)
{
    char name[BDB_LOG_READ_NAME_MAX];
    struct buf file;
    uint64_t end;
    int rc;

    bdb_log_read_name(name, c->end.file != 0 ? c->end.file : c->first_log);
    if (c->end.file == 0 || c->end.file < c->last_log) {
        report_fault(c, name, "behind byte %u it has no record that can be read", c->end.offset);
        return 0;
    }
    buf_init(&file, 2 * BDB_ENV_LOG_FILE);
    rc = bdb_log_read_file(c->dir, c->end.file, &file, err);
    end = bdb_log_read_behind(buf_bytes(&file), c->end.offset);
    if (rc == 1 && bdb_log_read_goes_on(buf_bytes(&file), end))
        report_fault(c, name, "the record at byte %llu is damaged, and others follow it",
                     (unsigned long long)end);
    buf_free(&file);
    return rc < 0 ? -1 : 0;
}

static int
check_log(struct file_check *c, struct bdb_log_read *r, struct err *err)
{
    DB_LSN oldest = {0};
    char name[BDB_LOG_READ_NAME_MAX];

    if (walk_log(c, r, &oldest, err) != 0 || (c->faults == 0 && check_log_end(c, err) != 0))
        return -1;
    if (oldest.file != 0 && c->first_log > oldest.file) {
        bdb_log_read_name(name, oldest.file);
        report_fault(c, name, "this log is missing, and the last checkpoint needs it");
    }
    return 0;
}

static int
check_logs(struct file_check *c, struct err *err)
{
    struct bdb_log_read r;
    int ret, rc = list_logs(c, err);

    if (rc != 0 || c->faults > 0)
        return rc;
    ret = bdb_log_read_open(&r, c->dir);
    if (ret == 0)
        rc = check_log(c, &r, err);
    else
        report_fault(c, "log", "the log can't be opened: %s",
                     r.said[0] != '\0' ? r.said : db_strerror(ret));
    bdb_log_read_close(&r);
    return rc;
}

/* ---- the pages' places in the log ---- */

/* A page is written after the log of its last change. So if it has a change from behind the end of
 * the log, a log is missing, or a part of one. */
static void
check_page_place(struct file_check *c, const char *name, uint64_t page, const uint8_t *p)
{
    char log[16];
    DB_LSN at;

    memcpy(&at, p, sizeof at);
    if (log_compare(&at, &c->end) <= 0)
        return;
    snprintf(log, sizeof log, "log.%010u", at.file);
    if (at.file > c->last_log && at.file <= c->last_log + 100)
        report_fault(c, log, "this log is missing: %s has changes of it", name);
    else
        report_fault(
            c, name,
            "page %llu has a change at byte %u of log.%010u, which ends at byte %u: the end of "
            "the log is lost, or the page is damaged",
            (unsigned long long)page, at.offset, at.file, c->end.offset);
}

static uint32_t
page_size_of(const uint8_t *meta)
{
    uint32_t n;

    memcpy(&n, meta + 20, sizeof n);
    return n >= PAGE_LEAST && n <= PAGE_MOST && (n & (n - 1)) == 0 ? n : 0;
}

/* size: 0 for a file with a page of metadata, which tells it; an extent may be empty. */
static int
check_places(struct file_check *c, int dirfd, const char *name, uint32_t *size, struct err *err)
{
    uint8_t *piece = mem_alloc(PIECE);
    unsigned before = c->faults;
    bool may_be_empty = *size != 0;
    uint64_t at = 0;
    ssize_t n;
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;

    if (fd < 0)
        rc = err_errno(err, "cannot open %s", name);
    while (rc == 0 && c->faults == before) {
        n = fdio_read_at(fd, piece, PIECE, at);
        if (n < 0)
            rc = err_errno(err, "cannot read %s", name);
        if (n <= 0)
            break;
        if (*size == 0 && n >= PAGE_LEAST)
            *size = page_size_of(piece);
        if (*size == 0 || n % *size != 0) {
            report_fault(c, name,
                         *size == 0 ? "its first page is damaged" : "it was cut off within a page");
            break;
        }
        for (ssize_t i = 0; i < n && c->faults == before; i += *size)
            check_page_place(c, name, (at + (uint64_t)i) / *size, piece + i);
        at += (uint64_t)n;
        rc = c->tick(c->arg, (uint64_t)n, err);
    }
    if (rc == 0 && at == 0 && c->faults == before && !may_be_empty)
        report_fault(c, name, "it is empty");
    fdio_close(fd);
    free(piece);
    return rc;
}

static int
check_extents(struct file_check *c, DIR *d, const char *table, uint32_t size, struct err *err)
{
    char prefix[256];
    int rc = 0, n = snprintf(prefix, sizeof prefix, "__dbq.%s.", table);

    rewinddir(d);
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, prefix, (size_t)n) == 0)
            rc = check_places(c, dirfd(d), e->d_name, &size, err);
    return rc;
}

/* Was the table made, as the copied list says? 1, 0, -1. */
static int
was_made(int dirfd, const char *table, struct err *err)
{
    struct buf list;
    int rc;

    buf_init(&list, TABLES_LIST_MAX);
    rc = fdio_read_file(dirfd, BDB_COPY_TABLES, &list, err);
    if (rc == 1) {
        size_t n = strlen(table);
        const char *at = list.p;

        rc = 0;
        for (; at != NULL && rc == 0; at = strchr(at, '\n') != NULL ? strchr(at, '\n') + 1 : NULL)
            rc = strncmp(at, table, n) == 0 && (at[n] == '\n' || at[n] == '\0');
    }
    buf_free(&list);
    return rc;
}

static int
check_all_places(struct file_check *c, struct err *err)
{
    DIR *d = fdio_opendir(AT_FDCWD, c->dir, err);
    int rc = d == NULL ? -1 : 0;

    for (size_t i = 0; i < c->n && rc == 0; i++) {
        uint32_t size = 0;

        if (faccessat(dirfd(d), c->tables[i].name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
            int made = c->tables[i].is_later ? was_made(dirfd(d), c->tables[i].name, err) : 1;

            if (made == 1)
                report_fault(c, c->tables[i].name, "it is missing");
            rc = made < 0 ? -1 : 0;
            continue;
        }
        rc = check_places(c, dirfd(d), c->tables[i].name, &size, err);
        if (rc == 0 && c->tables[i].kind == KV_QUEUE && size != 0)
            rc = check_extents(c, d, c->tables[i].name, size, err);
    }
    if (d != NULL)
        closedir(d);
    return rc;
}

/* ---- the recovery ---- */

/* Or b has a page that couldn't be read. */
static bool
recover_once(struct file_check *c, bool is_hot, struct bdb *b)
{
    struct err err;
    bool good;
    int ret = 0, closed;

    b->from_first_log = is_hot;
    b->is_silent = true;
    good = bdb_env_attach(b, true, &err) == 0;
    if (good && (ret = b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE)) != 0)
        good = false;
    closed = bdb_env_detach(b);
    if (good && (ret = closed) != 0)
        good = false;
    if (ret != 0)
        bdb_error(&err, ret, "recovering", c->dir);
    if (!good)
        snprintf(c->said, sizeof c->said, "%s", err.message);
    return good;
}

static uint32_t
size_of_table_page(const struct file_check *c, const char *table)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->tables[i].kind == KV_ORDERED && strcmp(c->tables[i].name, table) == 0)
            return bdb_env_page_size(&c->tables[i]);
    return 0;
}

/* A damaged page that the recovery has to read is left out of it, and so on. */
static bool
recover_without_pages(struct file_check *c, bool is_hot, struct bdb_blank *blank)
{
    struct err err;
    bool good;

    do {
        struct bdb *b = bdb_new(c->dir, c->tables, c->n);
        uint32_t size;

        good = recover_once(c, is_hot, b);
        size = good ? 1 : size_of_table_page(c, b->bad_file);
        if (!good &&
            (size == 0 || bdb_blank_page(blank, c->dir, b->bad_file, b->bad_page, size, &err) != 0))
            size = 0;
        bdb_free(b);
        if (size == 0)
            return false;
    } while (!good);
    return true;
}

static int
recover_copy(struct file_check *c, bool is_hot, struct err *err)
{
    struct bdb_blank blank = {.n = 0};
    struct bdb *b;
    bool some;

    c->recovered = recover_without_pages(c, is_hot, &blank);
    some = blank.n > 0;
    if (bdb_blank_put_back(&blank, c->dir, err) != 0)
        return -1;
    if (!c->recovered || !some)
        return 0;
    /* The library's memory has the blank pages; there is nothing left to repeat. */
    b = bdb_new(c->dir, c->tables, c->n);
    c->recovered = recover_once(c, false, b);
    bdb_free(b);
    return 0;
}

/* ---- the tables ---- */

static void
note_library_text(const DB_ENV *env, const char *prefix, const char *text)
{
    struct file_check *c = env->app_private;

    (void)prefix;
    if (c->said[0] == '\0' || strstr(text, "checksum error") != NULL)
        snprintf(c->said, sizeof c->said, "%s", text);
}

/* The library's words, without its advice. */
static void
report_library_text(struct file_check *c, const char *name, int ret)
{
    const char *at = strstr(c->said, "checksum error: page ");
    unsigned long page;

    if (at != NULL && sscanf(at, "checksum error: page %lu", &page) == 1)
        report_fault(c, name, "page %lu has a wrong checksum", page);
    else if (strstr(c->said, "metadata page checksum error") != NULL)
        report_fault(c, name, "its first page has a wrong checksum");
    else
        report_fault(c, name, "%s", c->said[0] != '\0' ? c->said : db_strerror(ret));
}

static int
verify_copied_table(struct file_check *c, const char *name, struct err *err)
{
    char path[4096];
    struct stat st;
    DB *db;
    int ret;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", c->dir, name) >= sizeof path)
        return err_set(err, ERR_SYSTEM, "name too long: %s", c->dir);
    if (stat(path, &st) != 0)
        return 0;
    if ((ret = db_create(&db, NULL, 0)) != 0)
        return bdb_error(err, ret, "verifying", name);
    c->said[0] = '\0';
    db->get_env(db)->app_private = c;
    db->set_errcall(db, note_library_text);
    ret = db->verify(db, path, NULL, NULL, 0); /* frees db */
    if (ret == 0)
        return c->tick(c->arg, (uint64_t)st.st_size, err);
    if (c->recovered || strstr(c->said, "checksum error") != NULL)
        report_library_text(c, name, ret);
    return 0;
}

static int
verify_tables(struct file_check *c, struct err *err)
{
    for (size_t i = 0; i < c->n; i++)
        if (verify_copied_table(c, c->tables[i].name, err) != 0)
            return -1;
    return 0;
}

int
bdb_check_copy(const char *dir, bool is_hot, const struct kv_table *tables, size_t n,
               kv_check_fault *fault, kv_copy_tick *tick, void *arg, struct err *err)
{
    struct file_check c = {
        .dir = dir, .tables = tables, .n = n, .fault = fault, .tick = tick, .arg = arg};
    unsigned before;
    bool is_lost;

    if (check_logs(&c, err) != 0 || (c.faults == 0 && check_all_places(&c, err) != 0))
        return -1;
    is_lost = c.faults > 0;
    if (verify_tables(&c, err) != 0)
        return -1;
    if (is_lost)
        return 0;
    before = c.faults;
    if (recover_copy(&c, is_hot, err) != 0)
        return -1;
    if (!c.recovered && before == 0)
        report_fault(&c, "log", "the database can't be recovered: %s", c.said);
    if (!c.recovered)
        return 0;
    if (before == 0 && verify_tables(&c, err) != 0)
        return -1;
    return c.faults == 0 ? 1 : 2;
}
