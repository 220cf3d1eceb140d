#include "domain/check/check_blobs.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/check/check_waits.h"
#include "domain/check/damage.h"
#include "domain/core/garbage.h"
#include "storage/files/blob_file.h"
#include "storage/files/blob_remote.h"
#include "storage/layers/index_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

#define PIECE (1u << 20)
#define BATCH 64
#define PAUSE_MS 20

/* ---- is there a file? ---- */

int
check_blob_has_file(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct err why;
    uint64_t bytes;
    int rc = blob_file_look(c->reg->blobs, &e->digest, e->r.blob.instance, &bytes, &why);

    (void)t;
    if (rc < 0 && why.sys == 0) {
        *err = why;
        return -1;
    }
    if (rc != 1)
        return check_fails(
            c, rc == 0 ? "its file is missing" : "its file can't be opened: errno %d", why.sys);
    if (bytes == e->r.blob.size)
        return 1;
    return check_fails(c, "its file has %llu bytes instead of %llu", (unsigned long long)bytes,
                       (unsigned long long)e->r.blob.size);
}

int
check_blob_withdraw(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    (void)t;
    return damage_quarantine(c->reg, &e->digest, e->r.blob.instance, c->why, err);
}

/* ---- has it its digest? ---- */

struct blob_to_read {
    struct digest digest;
    struct rec_blob r;
};

struct blobs_to_read {
    struct blob_to_read v[BATCH];
    size_t n;
};

static int
add_blob_to_read(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct blobs_to_read *b = arg;

    (void)err;
    b->v[b->n++] = (struct blob_to_read){*d, *r};
    return b->n == BATCH;
}

static int
keep_to_rate(struct check *c, uint64_t n, struct err *err)
{
    uint64_t now = clock_mono_ms(), due;

    c->bytes += n;
    if (c->rate == 0)
        return check_tick(c, err);
    c->hashed += n;
    due = c->hashed_since_ms + (uint64_t)((double)c->hashed * 1000 / (double)c->rate);
    if (now > due + 1000) /* an unused part of the rate isn't made up for */
        c->hashed_since_ms += now - due;
    for (; due > now; now = clock_mono_ms()) {
        clock_sleep_ms(due - now < 500 ? due - now : 500);
        if (check_tick(c, err) != 0)
            return -1;
    }
    return check_tick(c, err);
}

/* From the disk, and not from memory: a copy in memory may be good. 1, 0, -1. */
static int
hash_file(struct check *c, const struct blob_to_read *b, int fd, struct err *err)
{
    struct digest_state *s = digest_begin(b->digest.algo);
    uint8_t *piece = mem_alloc(PIECE);
    struct digest actual;
    uint64_t at = 0;
    ssize_t n;
    int rc = 0, sys = 0;

    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    while (rc == 0 && (n = fdio_read_at(fd, piece, PIECE, at)) > 0) {
        digest_update(s, piece, (size_t)n);
        at += (uint64_t)n;
        rc = keep_to_rate(c, (uint64_t)n, err);
    }
    if (rc == 0 && n < 0)
        sys = errno;
    digest_end(s, &actual);
    free(piece);
    if (rc != 0)
        return -1;
    if (sys != 0)
        return check_fails(c, "its file can't be read behind byte %llu: %s", (unsigned long long)at,
                           strerror(sys));
    return digest_equal(&actual, &b->digest) ? 1 : check_fails(c, "its file has another digest");
}

/* Where it is, and not in the cache. 1, 0, -1. */
static int
hash_object(struct check *c, const struct blob_to_read *b, struct err *err)
{
    struct err why;
    int rc = blob_remote_verify(c->reg->blobs, &b->digest, b->r.instance, c->rate, &why);

    if (rc < 0 && why.code == ERR_CORRUPT)
        return check_fails(c, "its object has another digest");
    if (rc < 0) {
        *err = why;
        return -1;
    }
    c->bytes += b->r.size;
    return check_tick(c, err) == 0 ? 1 : -1;
}

static int
hash_blob_file(struct check *c, const struct blob_to_read *b, struct err *err)
{
    struct err why;
    struct stat st;
    int fd = blob_file_open(c->reg->blobs, &b->digest, b->r.instance, &why), rc;

    if (fd < 0)
        return 1;
    rc = fstat(fd, &st) != 0 || (uint64_t)st.st_size != b->r.size ? 1 : hash_file(c, b, fd, err);
    fdio_close(fd);
    return rc;
}

/* A file that can't be opened, or has another size, is what check_blob_has_file looks for. */
static int
read_blob(struct check *c, const struct blob_to_read *b, struct err *err)
{
    struct rec_blob now;
    struct err why;
    char text[DIGEST_TEXT_MAX];
    bool mended = c->repair;
    int rc = blob_remote_is(c->reg->blobs) ? hash_object(c, b, err) : hash_blob_file(c, b, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    rc = tbl_blob_get(kv_reads(c->reg->kv), &b->digest, &now, err);
    if (rc != 1 || now.instance != b->r.instance)
        return rc < 0 ? -1 : 0;
    if (c->repair && damage_quarantine(c->reg, &b->digest, b->r.instance, c->why, &why) != 0) {
        check_add_failure(c, &why);
        mended = false;
    }
    digest_text(text, &b->digest);
    check_report(c, &(struct check_finding){
                        "blob-digest", text, "its file has its digest", c->why,
                        "the blob goes into the quarantine, and a new push replaces it", mended});
    return 0;
}

int
check_digests(struct check *c, struct err *err)
{
    struct digest after = {.algo = DIGEST_NONE};
    struct blobs_to_read b = {.n = BATCH};
    int rc = 0;

    c->part = "blobs";
    c->hashed_since_ms = clock_mono_ms();
    while (rc == 0 && b.n == BATCH) {
        b.n = 0;
        rc = tbl_blob_each(kv_reads(c->reg->kv), &after, add_blob_to_read, &b, err);
        for (size_t i = 0; rc == 0 && i < b.n; i++) {
            rc = read_blob(c, &b.v[i], err);
            c->blobs++;
            if (rc == 0)
                rc = check_tick(c, err);
        }
        if (b.n > 0)
            after = b.v[b.n - 1].digest;
    }
    if (rc == 0)
        rc = check_waits_count(c, err);
    return rc != 0 && c->damaged && err->code == ERR_CORRUPT ? 0 : rc;
}

/* ---- what the keeper has found ---- */

/* check_digests reads the file, and finds what is still wrong with it. */
int
check_blob_is_undamaged(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err)
{
    char when[CLOCK_RFC3339_MAX];
    struct rec_blob r;
    int rc = e->r.damage.state == DAMAGE_FOUND ? tbl_blob_get(t, &e->digest, &r, err) : 0;

    if (rc != 1 || r.instance != e->r.damage.instance)
        return rc < 0 ? -1 : 1;
    clock_rfc3339(when, e->r.damage.found);
    return check_fails(c, "found by the keeper at %s: %s", when, e->r.damage.why);
}
