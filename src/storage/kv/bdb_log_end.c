#include "storage/kv/bdb_log_end.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "storage/kv/bdb_log_read.h"
#include "util/digest.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/pack.h"

#define STOPPED_NAME "stopped"
/* The number of the log, the byte in it, and the first bytes of their SHA-256. */
#define PLACE_BYTES 8
#define NOTE_BYTES (PLACE_BYTES + 4)

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

static uint32_t
sum_of_place(struct bytes note)
{
    struct digest sum;
    struct unpack u;

    digest_of(&sum, DIGEST_SHA256, bytes_of(note.p, PLACE_BYTES));
    u = unpack_of(bytes_of(sum.bytes, 4));
    return unpack_u32(&u);
}

static int
write_unsynced(int dirfd, const char *name, struct bytes text, struct err *err)
{
    int rc, fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, "making %s", name);
    rc = fdio_write_all(fd, text.p, text.n, name, err);
    fdio_close(fd);
    return rc;
}

/* is_fresh: the file is synced with all others of a new store. */
static int
write_place(const char *dir, const char *name, const DB_LSN *at, bool is_fresh, struct err *err)
{
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct buf text;

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    buf_init(&text, NOTE_BYTES);
    pack_u32(&text, at->file);
    pack_u32(&text, at->offset);
    pack_u32(&text, sum_of_place(buf_bytes(&text)));
    rc = is_fresh ? write_unsynced(dirfd, name, buf_bytes(&text), err)
                  : fdio_replace_file(dirfd, name, 0600, buf_bytes(&text), err);
    fdio_close(dirfd);
    buf_free(&text);
    return rc;
}

void
bdb_log_end_note(struct bdb *b)
{
    struct err ignored;
    DB_LSN at;

    if (bdb_log_end_last(b, &at) == 0 && log_compare(&at, &b->noted) != 0 &&
        write_place(b->kv.dir, BDB_LOG_END_CHECKPOINT, &at, b->is_fresh, &ignored) == 0)
        b->noted = at;
}

static int
read_place(const char *dir, const char *name, DB_LSN *out, struct err *err)
{
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct unpack u;
    struct buf text;
    uint32_t sum;

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    buf_init(&text, NOTE_BYTES);
    rc = fdio_read_file(dirfd, name, &text, err);
    u = unpack_of(buf_bytes(&text));
    out->file = unpack_u32(&u);
    out->offset = unpack_u32(&u);
    sum = unpack_u32(&u);
    if (rc == 1 && text.n == PLACE_BYTES)
        rc = 0; /* of a version before 1.0, which noted no sum */
    if (rc == 1 && (!unpack_done(&u) || sum != sum_of_place(buf_bytes(&text)))) {
        log_line(LOG_WARN, "a note of the last checkpoint is damaged, and not used", "file=%s/%s",
                 dir, name);
        rc = 0;
    }
    buf_free(&text);
    fdio_close(dirfd);
    return rc;
}

int
bdb_log_end_noted(const char *dir, DB_LSN *out, struct err *err)
{
    return read_place(dir, BDB_LOG_END_CHECKPOINT, out, err);
}

int
bdb_log_end_note_stop(const char *dir, const DB_LSN *at, struct err *err)
{
    return write_place(dir, STOPPED_NAME, at, false, err);
}

bool
bdb_log_end_stopped(const char *dir, const DB_LSN *checkpoint)
{
    struct err ignored;
    DB_LSN at;

    return read_place(dir, STOPPED_NAME, &at, &ignored) == 1 && log_compare(&at, checkpoint) == 0;
}

int
bdb_log_end_begin(const char *dir, struct err *err)
{
    int rc = 0, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    if (unlinkat(dirfd, STOPPED_NAME, 0) == 0)
        rc = fdio_fsync(dirfd, dir, err);
    else if (errno != ENOENT)
        rc = err_errno(err, "cannot remove %s/" STOPPED_NAME, dir);
    fdio_close(dirfd);
    return rc;
}

int
bdb_log_end_check(const char *dir, struct err *err)
{
    struct bdb_log_read r;
    char name[BDB_LOG_READ_NAME_MAX];
    DB_LSN noted, end;
    int rc = bdb_log_end_noted(dir, &noted, err);

    if (rc != 1)
        return rc;
    if (bdb_log_read_open(&r, dir) == 0)
        (void)bdb_log_read_last(&r);
    end = r.at;
    bdb_log_read_close(&r);
    if (log_compare(&end, &noted) >= 0)
        return 0;
    if (end.file == 0)
        return err_set(err, ERR_CORRUPT, "none of the logs in %s can be read", dir);
    bdb_log_read_name(name, end.file);
    return err_set(err, ERR_CORRUPT, "%s/%s is damaged behind byte %u", dir, name, end.offset);
}
