#include "storage/kv/bdb_log_read.h"
#include <fcntl.h>
#include <unistd.h>
#include "storage/kv/bdb_env.h"
#include "util/fdio.h"

static void
note_log_text(const DB_ENV *env, const char *prefix, const char *text)
{
    struct bdb_log_read *r = env->app_private;

    (void)prefix;
    if (r->said[0] == '\0')
        snprintf(r->said, sizeof r->said, "%s", text);
}

int
bdb_log_read_open(struct bdb_log_read *r, const char *dir)
{
    int ret;

    *r = (struct bdb_log_read){.dir = dir, .record = {.flags = DB_DBT_REALLOC}};
    if ((ret = db_env_create(&r->env, 0)) != 0) {
        r->env = NULL;
        return ret;
    }
    r->env->app_private = r;
    r->env->set_errcall(r->env, note_log_text);
    if ((ret = r->env->open(r->env, dir, DB_CREATE | DB_PRIVATE | DB_INIT_LOG, 0600)) == 0 &&
        (ret = r->env->log_cursor(r->env, &r->cursor, 0)) != 0)
        r->cursor = NULL;
    return ret;
}

void
bdb_log_read_close(struct bdb_log_read *r)
{
    /* A wrong checksum is a panic to the library, which then frees nothing. */
    if (r->env != NULL)
        r->env->set_flags(r->env, DB_NOPANIC, 1);
    if (r->cursor != NULL)
        r->cursor->close(r->cursor, 0);
    if (r->env != NULL)
        r->env->close(r->env, 0);
    free(r->record.data);
    *r = (struct bdb_log_read){.dir = r->dir};
}

/* A log with zeros where records were looks as if it ended there. The first record of the next one
 * knows where the last one of this one began. */
static bool
is_next_log(const struct bdb_log_read *r, uint32_t number)
{
    char name[BDB_LOG_READ_NAME_MAX], path[4096];
    uint32_t before = 0;
    bool read;
    int fd;

    bdb_log_read_name(name, number);
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    read = fd >= 0 && fdio_read_at(fd, &before, sizeof before, 0) == sizeof before;
    fdio_close(fd);
    return read && before == r->at.offset;
}

int
bdb_log_read_next(struct bdb_log_read *r)
{
    DB_LSN at;
    int ret = r->cursor->get(r->cursor, &at, &r->record, r->at.file == 0 ? DB_FIRST : DB_NEXT);

    if (ret != 0)
        return ret;
    if (r->at.file != 0 && at.file != r->at.file && !is_next_log(r, at.file)) {
        snprintf(r->said, sizeof r->said, "there are no records behind it, and there were some");
        return DB_VERIFY_BAD;
    }
    r->at = at;
    return 0;
}

int
bdb_log_read_last(struct bdb_log_read *r)
{
    return r->cursor->get(r->cursor, &r->at, &r->record, DB_LAST);
}

/* ---- bytes ---- */

void
bdb_log_read_name(char out[BDB_LOG_READ_NAME_MAX], uint32_t number)
{
    snprintf(out, BDB_LOG_READ_NAME_MAX, BDB_ENV_LOG_PREFIX "%0*u", BDB_ENV_LOG_DIGITS, number);
}

int
bdb_log_read_file(const char *dir, uint32_t number, struct buf *out, struct err *err)
{
    char name[BDB_LOG_READ_NAME_MAX], path[4096];

    bdb_log_read_name(name, number);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fdio_read_file(AT_FDCWD, path, out, err);
}

struct bdb_log_head
bdb_log_read_head(struct bytes log, uint64_t at)
{
    struct bdb_log_head h = {0, 0};

    if (at + sizeof h <= log.n)
        memcpy(&h, (const uint8_t *)log.p + at, sizeof h);
    return h;
}

uint64_t
bdb_log_read_behind(struct bytes log, uint64_t at)
{
    return at + bdb_log_read_head(log, at).length;
}

/* Is there a record at that place? Then the next one knows where it began. */
static bool
is_record(struct bytes log, uint64_t at, struct bdb_log_head *h)
{
    *h = bdb_log_read_head(log, at);
    return h->length > sizeof *h && h->length < log.n - at &&
           bdb_log_read_head(log, at + h->length).before == at;
}

bool
bdb_log_read_goes_on(struct bytes log, uint64_t bad)
{
    struct bdb_log_head first, second;

    for (uint64_t at = bad + 1; at < log.n; at++)
        if (is_record(log, at, &first) &&
            (first.before == bad || is_record(log, at + first.length, &second)))
            return true;
    return false;
}

uint64_t
bdb_log_read_used(struct bytes log)
{
    const uint8_t *p = log.p;
    size_t n = log.n;

    while (n > 0 && p[n - 1] == 0)
        n--;
    return n;
}
