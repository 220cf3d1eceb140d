#include "storage/kv/bdb_log_cut.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_log_end.h"
#include "storage/kv/bdb_log_read.h"
#include "util/fdio.h"

/* Without this, a recovery would do one of two things with a damaged log: end there without a word,
 * or fail, and so lose what is before the damage, too. */

#define COMMIT_RECORD 10 /* DB___txn_regop */
#define COMMIT_TIME_AT 20

struct log_cut {
    const char *dir;
    struct kv_log_state *state;
    DB_LSN end;              /* the last record that can be read */
    uint32_t first, missing; /* the first log, and the first number after it without one */
    uint32_t last;
};

static int
list_logs_to_cut(struct log_cut *c, struct err *err)
{
    char name[BDB_LOG_READ_NAME_MAX];
    DIR *d = fdio_opendir(AT_FDCWD, c->dir, err);

    if (d == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        uint32_t number = bdb_env_log_number(e->d_name);

        if (number > 0 && (c->first == 0 || number < c->first))
            c->first = number;
        if (number > c->last)
            c->last = number;
    }
    c->missing = c->first;
    do
        bdb_log_read_name(name, ++c->missing);
    while (faccessat(dirfd(d), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    closedir(d);
    return 0;
}

static void
note_commit(struct kv_log_state *state, const DBT *record)
{
    const uint8_t *p = record->data;
    uint32_t type, seconds;

    if (record->size < COMMIT_TIME_AT + sizeof seconds)
        return;
    memcpy(&type, p, sizeof type);
    memcpy(&seconds, p + COMMIT_TIME_AT, sizeof seconds);
    if (type == COMMIT_RECORD)
        state->moment_s = seconds;
}

static void
read_to_the_end(struct log_cut *c)
{
    struct bdb_log_read r;

    if (bdb_log_read_open(&r, c->dir) == 0)
        while (bdb_log_read_next(&r) == 0 && r.at.file < c->missing) {
            c->end = r.at;
            note_commit(c->state, &r.record);
        }
    bdb_log_read_close(&r);
}

/* Removes a log that follows the end, and counts what was in it. */
static int
drop_later_log(struct log_cut *c, uint32_t number, struct err *err)
{
    char name[BDB_LOG_READ_NAME_MAX], path[4096];
    struct buf log;
    int rc;

    buf_init(&log, 2 * BDB_ENV_LOG_FILE);
    rc = bdb_log_read_file(c->dir, number, &log, err);
    c->state->lost += bdb_log_read_used(buf_bytes(&log));
    buf_free(&log);
    if (rc <= 0)
        return rc;
    bdb_log_read_name(name, number);
    snprintf(path, sizeof path, "%s/%s", c->dir, name);
    return unlink(path) == 0 ? 0 : err_errno(err, "cannot remove %s", path);
}

/* Looks behind the last record that can be read, and cuts off what is there. */
static int
cut_behind_end(struct log_cut *c, bool *goes_on, struct err *err)
{
    char path[4096];
    struct buf log;
    uint64_t end, used;
    int rc;

    buf_init(&log, 2 * BDB_ENV_LOG_FILE);
    rc = bdb_log_read_file(c->dir, c->end.file, &log, err);
    end = bdb_log_read_behind(buf_bytes(&log), c->end.offset);
    used = bdb_log_read_used(buf_bytes(&log));
    *goes_on = rc == 1 && bdb_log_read_goes_on(buf_bytes(&log), end);
    buf_free(&log);
    if (rc <= 0)
        return rc == 0 ? err_set(err, ERR_CORRUPT, "a log is missing in %s", c->dir) : -1;
    snprintf(c->state->log, sizeof c->state->log, BDB_ENV_LOG_PREFIX "%0*u", BDB_ENV_LOG_DIGITS,
             c->end.file);
    c->state->at = (uint32_t)end;
    if (used <= end)
        return 0;
    c->state->lost += used - end;
    snprintf(path, sizeof path, "%s/%s", c->dir, c->state->log);
    return truncate(path, (off_t)end) == 0 ? 0 : err_errno(err, "cannot cut %s", path);
}

int
bdb_log_cut_run(const char *dir, const char *store, struct kv_log_state *out, struct err *err)
{
    struct log_cut c = {.dir = dir, .state = out};
    uint64_t in_last;
    DB_LSN noted;
    bool goes_on;

    *out = (struct kv_log_state){.is_whole = false};
    if (list_logs_to_cut(&c, err) != 0)
        return -1;
    if (c.first > 0)
        read_to_the_end(&c);
    if (c.end.file == 0)
        return err_set(err, ERR_CORRUPT, "the logs in %s can't be read", dir);
    if (cut_behind_end(&c, &goes_on, err) != 0)
        return -1;
    in_last = out->lost;
    for (uint32_t i = c.end.file; i < c.last; i++)
        if (drop_later_log(&c, i + 1, err) != 0)
            return -1;
    /* Part of a record at the end is what a crash leaves. */
    out->is_whole = !goes_on && out->lost == in_last;
    if (bdb_log_end_noted(store, &noted, err) == 1 && log_compare(&c.end, &noted) < 0)
        out->is_whole = false;
    return 0;
}
