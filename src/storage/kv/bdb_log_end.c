#include "storage/kv/bdb_log_end.h"
#include <fcntl.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/pack.h"

#define CHECKPOINT_NAME "checkpoint"
#define PLACE_BYTES 8 /* the number of the log, and the byte in it */

int
bdb_log_end_last(struct bdb *b, DB_LSN *out)
{
    DB_TXN_STAT *stat;
    int ret = b->env->txn_stat(b->env, &stat, 0);

    if (ret != 0)
        return ret;
    *out = stat->st_last_ckp;
    free(stat);
    return 0;
}

void
bdb_log_end_note(struct bdb *b)
{
    struct err ignored;
    struct buf text;
    DB_LSN at;
    int dirfd;

    if (bdb_log_end_last(b, &at) != 0 || log_compare(&at, &b->noted) == 0)
        return;
    buf_init(&text, PLACE_BYTES);
    pack_u32(&text, at.file);
    pack_u32(&text, at.offset);
    dirfd = open(b->kv.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd >= 0 &&
        fdio_replace_file(dirfd, CHECKPOINT_NAME, 0600, buf_bytes(&text), &ignored) == 0)
        b->noted = at;
    fdio_close(dirfd);
    buf_free(&text);
}

/* 1, 0 (no checkpoint was noted yet), -1. */
static int
read_noted_place(const char *dir, DB_LSN *out, struct err *err)
{
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct unpack u;
    struct buf text;

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    buf_init(&text, PLACE_BYTES);
    rc = fdio_read_file(dirfd, CHECKPOINT_NAME, &text, err);
    u = unpack_of(buf_bytes(&text));
    out->file = unpack_u32(&u);
    out->offset = unpack_u32(&u);
    if (rc == 1 && !unpack_done(&u))
        rc = err_set(err, ERR_CORRUPT, "%s/" CHECKPOINT_NAME " is damaged", dir);
    buf_free(&text);
    fdio_close(dirfd);
    return rc;
}

static void
drop_log_text(const DB_ENV *env, const char *prefix, const char *text)
{
    (void)env;
    (void)prefix;
    (void)text;
}

/* Changes nothing. The place is 0, 0 if the log can't be read at all. */
static void
find_log_end(const char *dir, DB_LSN *out)
{
    DBT record = {.flags = DB_DBT_REALLOC};
    DB_LOGC *at;
    DB_ENV *env;

    *out = (DB_LSN){0, 0};
    if (db_env_create(&env, 0) != 0)
        return;
    env->set_errcall(env, drop_log_text);
    if (env->open(env, dir, DB_CREATE | DB_PRIVATE | DB_INIT_LOG, 0600) == 0 &&
        env->log_cursor(env, &at, 0) == 0) {
        if (at->get(at, out, &record, DB_LAST) != 0)
            *out = (DB_LSN){0, 0};
        at->close(at, 0);
    }
    free(record.data);
    env->close(env, 0);
}

int
bdb_log_end_check(const char *dir, struct err *err)
{
    DB_LSN noted, end;
    int rc = read_noted_place(dir, &noted, err);

    if (rc != 1)
        return rc;
    find_log_end(dir, &end);
    if (log_compare(&end, &noted) >= 0)
        return 0;
    return err_set(err, ERR_CORRUPT, "%s/log.%010u is damaged behind byte %u", dir, end.file,
                   end.offset);
}
