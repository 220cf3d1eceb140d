#include "domain/core/upload.h"
#include "domain/core/blob.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "domain/core/upload_expiry.h"
#include "domain/core/upload_node.h"
#include "domain/core/upload_row.h"
#include "storage/kv/kv.h"
#include "storage/files/body_ahead.h"
#include "storage/files/disk_space.h"
#include "storage/tables/tbl_upload.h"
#include "storage/files/upload_dir.h"
#include "util/behind_others.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/random.h"

/* Hashing fewer bytes takes no longer than to start a thread. */
#define HASHED_BEHIND (UINT64_C(1) << 20)

/* ---- the row ---- */

struct upload_row_put {
    const struct registry *reg;
    const char *id;
    struct rec_upload r;
};

static int
put_upload_row(struct txn *t, void *arg, struct err *err)
{
    const struct upload_row_put *x = arg;

    /* After a power loss the client begins another upload. */
    kv_relax(t);
    return upload_row_add(t, x->reg, x->id, &x->r, err);
}

static int
refuse_no_upload(const char *repository, struct err *err)
{
    return err_set(err, ERR_NO_UPLOAD, "repository %s has no such upload: begin a new one",
                   repository);
}

int
upload_begin(const struct registry *reg, const char *repository, const struct actor *actor,
             struct upload *u, struct err *err)
{
    /* The uploads of anonymous users are counted by address. */
    const char *owner = actor->user[0] != '\0' ? actor->user : actor->address;
    struct upload_row_put x = {.reg = reg, .id = u->id};
    struct rec_repo repo;
    uint8_t secret[16];

    if (repository_look(reg, repository, &repo, err) != 0 ||
        repository_check_room(reg, &repo, err) != 0 ||
        quota_check_room(reg, repository, 0, err) != 0)
        return -1;
    *u = (struct upload){.repository = repository};
    random_bytes(secret, sizeof secret);
    hex_encode(u->id, secret, sizeof secret);
    upload_node_mark(reg, u->id);
    snprintf(x.r.repository, sizeof x.r.repository, "%s", repository);
    x.r.started = clock_wall_ms();
    snprintf(x.r.user, sizeof x.r.user, "%s", owner);
    return txn_run(reg->kv, put_upload_row, &x, err);
}

int
upload_room(const struct registry *reg, uint64_t size, struct err *err)
{
    if (disk_space_check(reg->dirfd, size, err) != 0)
        return -1;
    return blob_store_check_room(reg->blobs, size, err);
}

/* 1, 0, -1. */
static int
is_upload_of(const struct registry *reg, const struct rec_upload *r, const char *repository,
             struct err *err)
{
    struct rec_repo repo;

    if (r->repository[0] != '\0')
        return strcmp(r->repository, repository) == 0;
    if (repository_look(reg, repository, &repo, err) != 0)
        return -1;
    return repo.id != 0 && r->repo == repo.id;
}

int
upload_find(const struct registry *reg, const char *repository, const char *id,
            const struct actor *actor, struct upload *u, struct err *err)
{
    struct rec_upload r;
    int rc;

    if (!upload_row_is_id(id) || upload_node_is_other(reg, id))
        return refuse_no_upload(repository, err);
    rc = tbl_upload_get(kv_reads(reg->kv), id, &r, err);
    if (rc == 1)
        rc = is_upload_of(reg, &r, repository, err);
    if (rc < 0)
        return -1;
    /* An address may change on the way (NAT, mobile), a user doesn't. */
    if (rc == 0 || (actor->user[0] != '\0' && strcmp(r.user, actor->user) != 0))
        return refuse_no_upload(repository, err);
    *u = (struct upload){.repository = repository};
    snprintf(u->id, sizeof u->id, "%s", id);
    return upload_dir_size(reg->dirfd, u->id, &u->size, err);
}

/* ---- the bytes ---- */

/* The upload is certainly open only if it is locked: another request may have closed it while this
 * one waited. */
static int
hold_upload(const struct registry *reg, const struct upload *u, struct upload_dir *dir,
            struct err *err)
{
    struct rec_upload r;
    struct err ignored;
    int rc;

    if (upload_dir_open(reg->dirfd, u->id, dir, err) != 0)
        return -1;
    rc = tbl_upload_get(kv_reads(reg->kv), u->id, &r, err);
    if (rc == 1)
        return 0;
    if (rc == 0) {
        refuse_no_upload(u->repository, err);
        upload_dir_remove(reg->dirfd, u->id, &ignored);
    }
    upload_dir_close(dir);
    return -1;
}

static int
check_upload_size(const struct registry *reg, uint64_t size, struct err *err)
{
    unsigned long long max = reg->max_blob_size;

    if (max == 0 || size <= max)
        return 0;
    err_set(err, ERR_TOO_LARGE, "a blob may have at most %llu bytes here", max);
    err_expected(err, "at most %llu bytes (--max-blob-size)", max);
    return err_found(err, "%llu bytes or more", (unsigned long long)size);
}

static uint64_t
chunk_size(const struct upload_chunk *chunk)
{
    return chunk->body_file[0] != '\0' ? chunk->size : 0;
}

static int
refuse_chunk_place(uint64_t size, uint64_t first, struct err *err)
{
    err_set(err, ERR_BAD_RANGE, "the upload has %llu bytes, but this piece begins at byte %llu",
            (unsigned long long)size, (unsigned long long)first);
    err_expected(err, "a piece that begins at byte %llu", (unsigned long long)size);
    return err_found(err, "a piece that begins at byte %llu", (unsigned long long)first);
}

static int
refuse_chunk_size(const struct upload_chunk *chunk, struct err *err)
{
    unsigned long long named = chunk->range_size, came = chunk->size;

    err_set(err, ERR_BAD_SIZE, "Content-Range from %llu announces %llu bytes, but %llu were sent",
            (unsigned long long)chunk->first, named, came);
    err_expected(err, "%llu bytes", named);
    return err_found(err, "%llu bytes", came);
}

/* Before the body becomes the upload's data, which grows, and may be cut back to this piece. Later
 * pieces are copied, and what was hashed of them is of no use. */
static void
freeze_body(const struct registry *reg, const struct upload *u, const struct upload_chunk *chunk)
{
    struct digest_begun unused;
    struct err ignored;
    int fd;

    if (reg->body_ahead == NULL || chunk->size < BODY_AHEAD_LEAST)
        return;
    fd = upload_dir_open_body(reg->dirfd, chunk->body_file, chunk->size, &ignored);
    if (fd >= 0 && u->size == 0)
        body_ahead_freeze(reg->body_ahead, fd);
    else if (fd >= 0)
        body_ahead_take(reg->body_ahead, fd, &unused);
    fdio_close(fd);
}

static int
append_chunk(const struct registry *reg, struct upload_dir *dir, struct upload *u,
             const struct upload_chunk *chunk, struct err *err)
{
    if (upload_dir_size(reg->dirfd, u->id, &u->size, err) != 0)
        return -1;
    if (chunk->has_range && chunk->first != u->size)
        return refuse_chunk_place(u->size, chunk->first, err);
    if (chunk->has_range && chunk->range_size != chunk->size)
        return refuse_chunk_size(chunk, err);
    if (chunk_size(chunk) == 0)
        return 0;
    if (check_upload_size(reg, u->size + chunk->size, err) != 0 ||
        quota_check_room(reg, u->repository, u->size + chunk->size, err) != 0)
        return -1;
    /* nginx has written the piece already; only one that isn't the first is copied. */
    if (disk_space_check(reg->dirfd, u->size > 0 ? chunk->size : 0, err) != 0)
        return -1;
    freeze_body(reg, u, chunk);
    return upload_dir_append(dir, chunk->body_file, chunk->size, &u->size, err);
}

static bool
is_fault_of_ours(enum err_code code)
{
    return code == ERR_SYSTEM || code == ERR_NO_SPACE || code == ERR_BUSY || code == ERR_FAULT ||
           code == ERR_CORRUPT;
}

/* Clients that are refused don't end their upload. Refused for good is a blob that is too large for
 * a quota or for --max-blob-size, in however many pieces. After a fault of ours the client may send
 * the piece once more. */
static void
settle_refused_upload(const struct registry *reg, struct upload_dir *dir, const struct upload *u,
                      const struct err *err)
{
    struct err ignored;

    if (err->code == ERR_FULL || err->code == ERR_TOO_LARGE)
        upload_row_end(reg, u->id, &ignored);
    else if (is_fault_of_ours(err->code))
        upload_expiry_hasten(reg, dir);
}

int
upload_append(const struct registry *reg, struct upload *u, const struct upload_chunk *chunk,
              struct err *err)
{
    struct upload_dir dir;
    int rc;

    if (hold_upload(reg, u, &dir, err) != 0)
        return -1;
    rc = append_chunk(reg, &dir, u, chunk, err);
    if (rc != 0)
        settle_refused_upload(reg, &dir, u, err);
    upload_dir_close(&dir);
    return rc;
}

/* After a failed fsync the memory has the right bytes, but the disk may never get them: a second
 * fsync would succeed. So the file goes first. */
static void
drop_upload(const struct registry *reg, struct upload *u)
{
    struct err err;

    if (upload_dir_remove(reg->dirfd, u->id, &err) != 0 || upload_row_end(reg, u->id, &err) != 0)
        log_line(LOG_ERROR, "an upload that the disk lost stays", "upload=%s why=%s", u->id,
                 err.message);
    u->size = 0;
}

/* What is hashed, and the digest that comes of it. */
struct upload_hash {
    const struct registry *reg;
    struct upload *u;
    const struct digest *want;
    int fd;
    struct digest actual;
    struct err *err;
};

static int
hash_upload(void *arg)
{
    struct upload_hash *h = arg;
    struct digest_begun begun;

    if (body_ahead_take(h->reg->body_ahead, h->fd, &begun) && h->want->algo == DIGEST_SHA256 &&
        digest_of_fd_begun(&h->actual, &begun, h->fd, &h->u->size, h->err) == 0 &&
        digest_equal(&h->actual, h->want))
        return 0;
    /* No upload is refused because of what was hashed ahead. */
    return digest_of_fd(&h->actual, h->want->algo, h->fd, &h->u->size, h->err);
}

static int
check_upload_digest(const struct registry *reg, int fd, struct upload *u, const struct digest *d,
                    struct err *err)
{
    struct upload_hash h = {.reg = reg, .u = u, .want = d, .fd = fd, .err = err};
    char want[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];

    /* Pulls and short requests of others go first. */
    if ((u->size < HASHED_BEHIND ? hash_upload(&h) : behind_others(hash_upload, &h)) != 0)
        return -1;
    if (digest_equal(&h.actual, d))
        return 0;
    digest_text(want, d);
    digest_text(got, &h.actual);
    err_set(err, ERR_DIGEST_MISMATCH, "the uploaded bytes have the digest %s, not %s", got, want);
    err_expected(err, "%s", want);
    return err_found(err, "%s", got);
}

static int
commit_upload(const struct registry *reg, struct upload_dir *dir, struct upload *u,
              const struct digest *d, struct err *err)
{
    struct err ignored;
    int fd = upload_dir_data(dir, err);
    int rc;

    if (fd < 0)
        return -1;
    rc = check_upload_digest(reg, fd, u, d, err);
    if (rc == 0)
        rc = blob_commit(reg, u->repository, d, fd, u->size, err);
    else if (err->code == ERR_DIGEST_MISMATCH)
        upload_row_end(reg, u->id, &ignored);
    if (rc != 0 && err->code == ERR_UNSYNCED)
        drop_upload(reg, u);
    fdio_close(fd);
    return rc;
}

int
upload_finish(const struct registry *reg, struct upload *u, const struct upload_chunk *chunk,
              const struct digest *d, struct err *err)
{
    struct upload_dir dir;
    struct err ignored;
    uint64_t before;
    int rc;

    if (hold_upload(reg, u, &dir, err) != 0)
        return -1;
    rc = append_chunk(reg, &dir, u, chunk, err);
    before = rc == 0 ? u->size - chunk_size(chunk) : u->size;
    if (rc == 0)
        rc = commit_upload(reg, &dir, u, d, err);
    /* The client may send the last piece once more: the failure may be ours. */
    if (rc != 0 && chunk_size(chunk) > 0 && u->size > before &&
        upload_dir_rewind(&dir, before, &ignored) == 0)
        u->size = before;
    if (rc != 0)
        settle_refused_upload(reg, &dir, u, err);
    if (rc == 0 && upload_row_end(reg, u->id, &ignored) != 0)
        log_line(LOG_WARN, "a finished upload stays until it expires", "why=%s", ignored.message);
    upload_dir_close(&dir);
    return rc;
}

int
upload_cancel(const struct registry *reg, const struct upload *u, struct err *err)
{
    struct upload_dir dir;
    int rc;

    if (hold_upload(reg, u, &dir, err) != 0)
        return -1;
    rc = upload_row_end(reg, u->id, err);
    upload_dir_close(&dir);
    return rc;
}
