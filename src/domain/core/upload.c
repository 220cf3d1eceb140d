#include "domain/core/upload.h"

#include <stdio.h>
#include <string.h>

#include "domain/core/blob.h"
#include "domain/core/repository.h"
#include "domain/core/upload_row.h"
#include "storage/kv/kv.h"
#include "storage/files/disk_space.h"
#include "storage/tables/tbl_upload.h"
#include "storage/files/upload_dir.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/random.h"
#include "util/banned.h"

/* ---- the row ---- */

struct row {
    const struct registry *reg;
    const char *id;
    struct rec_upload r;
};

static int
put_row(struct txn *t, void *arg, struct err *err)
{
    struct row *row = arg;

    return upload_row_add(t, row->reg, row->id, &row->r, err);
}

static int
delete_row(struct txn *t, void *arg, struct err *err)
{
    return upload_row_drop(t, arg, err);
}

static int
no_upload(const char *repository, struct err *err)
{
    return err_set(err, ERR_NO_UPLOAD, "repository %s has no such upload: begin a new one",
                   repository);
}

/* Who began it: the user, or the address of somebody anonymous. */
static const char *
owner_of(const struct actor *actor)
{
    return actor->user[0] != '\0' ? actor->user : actor->address;
}

int
upload_begin(const struct registry *reg, const char *repository, const struct actor *actor,
             struct upload *u, struct err *err)
{
    struct row row = {.reg = reg, .id = u->id};
    struct rec_repo repo;
    uint8_t secret[16];

    if (repository_ensure(reg, repository, &repo, err) != 0)
        return -1;
    random_bytes(secret, sizeof secret);
    hex_encode(u->id, secret, sizeof secret);
    u->size = 0;
    row.r.repo = repo.id;
    row.r.started = clock_wall_ms();
    snprintf(row.r.user, sizeof row.r.user, "%s", owner_of(actor));
    return txn_run(reg->kv, put_row, &row, err);
}

int
upload_room(const struct registry *reg, uint64_t size, struct err *err)
{
    return disk_space_check(reg->dirfd, size, err);
}

static bool
is_id(const char *id)
{
    uint8_t secret[16];

    return hex_decode(secret, sizeof secret, id, strlen(id));
}

static int
find_row(const struct registry *reg, const char *repository, const char *id,
         const struct actor *actor, struct rec_upload *r, struct err *err)
{
    struct rec_repo repo;
    int rc;

    *r = (struct rec_upload){0}; /* clang --analyze doesn't know that err_set returns -1 */
    if (!is_id(id))
        return no_upload(repository, err);
    rc = repository_find(reg, repository, &repo, err);
    if (rc == 1)
        rc = tbl_upload_get(kv_reads(reg->kv), id, r, err);
    if (rc < 0)
        return -1;
    /* An address may change on the way (NAT, mobile), a user doesn't. */
    if (rc == 0 || r->repo != repo.id ||
        (actor->user[0] != '\0' && strcmp(r->user, actor->user) != 0))
        return no_upload(repository, err);
    return 0;
}

int
upload_find(const struct registry *reg, const char *repository, const char *id,
            const struct actor *actor, struct upload *u, struct err *err)
{
    struct rec_upload r;

    if (find_row(reg, repository, id, actor, &r, err) != 0)
        return -1;
    snprintf(u->id, sizeof u->id, "%s", id);
    return upload_dir_size(reg->dirfd, u->id, &u->size, err);
}

/* ---- the bytes ---- */

/* Locks the upload's directory. Only then is it sure that the upload is still open: while we
 * waited, another request may have closed it. */
static int
enter(const struct registry *reg, const char *repository, const char *id, const struct actor *actor,
      struct upload_dir *dir, struct rec_upload *r, struct err *err)
{
    struct err ignored;

    if (find_row(reg, repository, id, actor, r, err) != 0 ||
        upload_dir_open(reg->dirfd, id, dir, err) != 0)
        return -1;
    if (find_row(reg, repository, id, actor, r, err) == 0)
        return 0;
    if (err->code == ERR_NO_UPLOAD)
        upload_dir_remove(reg->dirfd, id, &ignored);
    upload_dir_close(dir);
    return -1;
}

static int
check_size(const struct registry *reg, uint64_t size, struct err *err)
{
    if (reg->max_blob_size == 0 || size <= reg->max_blob_size)
        return 0;
    err_set(err, ERR_TOO_LARGE, "a blob may have at most %llu bytes here",
            (unsigned long long)reg->max_blob_size);
    err_expected(err, "at most %llu bytes (--max-blob-size)",
                 (unsigned long long)reg->max_blob_size);
    return err_found(err, "%llu bytes or more", (unsigned long long)size);
}

static uint64_t
chunk_size(const struct upload_chunk *chunk)
{
    return chunk->body_file[0] != '\0' ? chunk->size : 0;
}

static int
refuse_place(uint64_t size, uint64_t first, struct err *err)
{
    err_set(err, ERR_BAD_RANGE, "the upload has %llu bytes, and this piece begins at %llu",
            (unsigned long long)size, (unsigned long long)first);
    err_expected(err, "a piece that begins at byte %llu", (unsigned long long)size);
    return err_found(err, "one that begins at byte %llu", (unsigned long long)first);
}

static int
append(const struct registry *reg, struct upload_dir *dir, struct upload *u,
       const struct upload_chunk *chunk, struct err *err)
{
    if (upload_dir_size(reg->dirfd, u->id, &u->size, err) != 0)
        return -1;
    if (chunk->has_range && chunk->first != u->size)
        return refuse_place(u->size, chunk->first, err);
    if (chunk_size(chunk) == 0)
        return 0;
    if (check_size(reg, u->size + chunk->size, err) != 0)
        return -1;
    /* nginx has written the piece already; a further one is copied. */
    if (disk_space_check(reg->dirfd, u->size > 0 ? chunk->size : 0, err) != 0)
        return -1;
    return upload_dir_append(reg->dirfd, dir, chunk->body_file, chunk->size, &u->size, err);
}

int
upload_append(const struct registry *reg, const char *repository, struct upload *u,
              const struct actor *actor, const struct upload_chunk *chunk, struct err *err)
{
    struct upload_dir dir;
    struct rec_upload r;
    int rc;

    if (enter(reg, repository, u->id, actor, &dir, &r, err) != 0)
        return -1;
    rc = append(reg, &dir, u, chunk, err);
    upload_dir_close(&dir);
    return rc;
}

/* The row first: what is left of the directory without it is nobody's, and is swept. */
static int
end(const struct registry *reg, char *id, struct err *err)
{
    if (txn_run_anyway(reg->kv, delete_row, id, err) != 0)
        return -1;
    return upload_dir_remove(reg->dirfd, id, err);
}

static int
commit(const struct registry *reg, uint64_t repo, struct upload_dir *dir, struct upload *u,
       const struct digest *d, struct err *err)
{
    char want[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
    struct digest actual;
    struct err ignored;
    int fd = upload_dir_data(dir, err);
    int rc;

    if (fd < 0)
        return -1;
    rc = digest_of_fd(&actual, d->algo, fd, &u->size, err);
    if (rc == 0 && !digest_equal(&actual, d)) {
        digest_text(want, d);
        digest_text(got, &actual);
        err_set(err, ERR_DIGEST_MISMATCH, "what was uploaded is %s, not %s", got, want);
        err_expected(err, "%s", want);
        rc = err_found(err, "%s", got);
        end(reg, u->id, &ignored);
    } else if (rc == 0) {
        rc = blob_commit(reg, repo, u->id, d, fd, u->size, err);
    }
    fdio_close(fd);
    return rc;
}

int
upload_finish(const struct registry *reg, const char *repository, struct upload *u,
              const struct actor *actor, const struct upload_chunk *chunk, const struct digest *d,
              struct err *err)
{
    struct upload_dir dir;
    struct rec_upload r;
    struct err ignored;
    uint64_t before;
    int rc;

    if (enter(reg, repository, u->id, actor, &dir, &r, err) != 0)
        return -1;
    rc = append(reg, &dir, u, chunk, err);
    before = rc == 0 ? u->size - chunk_size(chunk) : u->size;
    if (rc == 0)
        rc = commit(reg, r.repo, &dir, u, d, err);
    /* A failure of ours: the client may send the last piece once more. */
    if (rc != 0 && chunk_size(chunk) > 0 && u->size > before &&
        upload_dir_rewind(&dir, before, &ignored) == 0)
        u->size = before;
    if (rc == 0 && upload_dir_remove(reg->dirfd, u->id, &ignored) != 0)
        log_line(LOG_WARN, "a finished upload's directory stays for the sweep", "why=%s",
                 ignored.message);
    upload_dir_close(&dir);
    return rc;
}

int
upload_cancel(const struct registry *reg, const char *repository, const char *id,
              const struct actor *actor, struct err *err)
{
    struct upload_dir dir;
    struct rec_upload r;
    struct upload u;
    int rc;

    if (enter(reg, repository, id, actor, &dir, &r, err) != 0)
        return -1;
    snprintf(u.id, sizeof u.id, "%s", id);
    rc = end(reg, u.id, err);
    upload_dir_close(&dir);
    return rc;
}

/* ---- those that nobody ends ---- */

#define EXPIRE_BATCH 100

struct expiry {
    const struct registry *reg;
    char ids[EXPIRE_BATCH][RECORD_UPLOAD_ID_MAX];
    size_t n;
};

static int
remember(struct expiry *x, const char *id)
{
    snprintf(x->ids[x->n++], RECORD_UPLOAD_ID_MAX, "%s", id);
    return x->n == EXPIRE_BATCH;
}

/* A directory whose upload isn't open: its row is written before the directory, and deleted before
 * it is removed, so it is nobody's. */
static int
see_directory(const char *id, uint64_t changed, void *arg, struct err *err)
{
    struct expiry *x = arg;
    struct rec_upload r;
    int rc;

    if (!is_id(id)) /* lost+found, say */
        return 0;
    rc = tbl_upload_get(kv_reads(x->reg->kv), id, &r, err);
    if (rc == 1)
        return changed + x->reg->upload_expiry_ms < clock_wall_ms() ? remember(x, id) : 0;
    return rc < 0 ? -1 : remember(x, id);
}

/* An upload that was begun long ago and has no bytes at all. */
static int
see_row(const char *id, const struct rec_upload *r, void *arg, struct err *err)
{
    struct expiry *x = arg;
    uint64_t size;

    if (r->started + x->reg->upload_expiry_ms >= clock_wall_ms())
        return 0;
    if (upload_dir_size(x->reg->dirfd, id, &size, err) != 0)
        return -1;
    return size == 0 ? remember(x, id) : 0;
}

int
upload_expire(const struct registry *reg, struct err *err)
{
    struct expiry x = {.reg = reg};
    int rc = upload_dir_each(reg->dirfd, see_directory, &x, err);

    if (rc == 0 && x.n < EXPIRE_BATCH)
        rc = tbl_upload_each(kv_reads(reg->kv), see_row, &x, err);
    if (rc != 0)
        return -1;
    for (size_t i = 0; i < x.n; i++)
        if (end(reg, x.ids[i], err) != 0)
            rc = -1; /* and the others don't wait for it */
    return rc;
}
