#include "domain/core/blob_draft.h"
#include "domain/core/document_file.h"
#include "domain/core/garbage.h"
#include "storage/files/quarantine.h"
#include "storage/tables/tbl_blob.h"
#include "util/clock.h"
#include "util/log.h"

struct blob_draft
blob_draft_of_fd(const struct registry *reg, const struct digest *d, int fd, uint64_t size)
{
    return (struct blob_draft){
        .reg = reg, .digest = *d, .size = size, .source = BLOB_DRAFT_FD, .fd = fd};
}

struct blob_draft
blob_draft_of_bytes(const struct registry *reg, const struct digest *d, struct bytes content)
{
    return (struct blob_draft){.reg = reg,
                               .digest = *d,
                               .size = content.n,
                               .source = BLOB_DRAFT_BYTES,
                               .content = content};
}

struct blob_draft
blob_draft_of_stored(const struct registry *reg, const struct digest *d)
{
    return (struct blob_draft){.reg = reg, .digest = *d, .source = BLOB_DRAFT_NO_FILE};
}

static int
publish_draft(struct blob_draft *d, struct err *err)
{
    const struct blob_store *s = d->reg->blobs;
    int rc;

    if (d->source == BLOB_DRAFT_BYTES) {
        rc = blob_file_write(s, d->content, &d->digest, &d->instance, err);
    } else if (d->by == NULL) {
        rc = blob_file_publish(s, d->fd, &d->digest, &d->instance, err);
    } else {
        rc = blob_file_adopt(s, d->fd, &d->digest, d->by, &d->instance, err);
        d->unlinkable = rc == 0;
        rc = rc == 1 ? 0 : rc < 0 ? -1 : err_set(err, ERR_SYSTEM, "the file can't be linked");
    }
    d->published = rc == 0;
    d->wall_ms = clock_wall_ms();
    d->boot_ms = clock_boot_ms();
    return rc;
}

int
blob_draft_begin(struct blob_draft *d, struct err *err)
{
    struct rec_blob there;
    int rc = 0;

    if (d->published || d->source == BLOB_DRAFT_NO_FILE)
        return 0;
    if (!d->gone)
        rc = tbl_blob_get(kv_reads(d->reg->kv), &d->digest, &there, err);
    if (rc == 1 && d->source == BLOB_DRAFT_BYTES) {
        rc = document_file_check(d->reg, &d->digest, there.instance, err);
        d->replaces = rc == 0;
        d->damaged = there.instance;
    }
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    return publish_draft(d, err);
}

/* garbage_sweep removes a file of GARBAGE_SWEEP_AGE_S that no record names. A virtual machine that
 * was suspended may show that in one of the clocks only. A remote database ends a transaction
 * after seconds without a word, so it is enough to look before the record is put. */
static bool
may_be_swept(const struct blob_draft *d)
{
    uint64_t now = clock_wall_ms(), age = clock_boot_ms() - d->boot_ms;

    if (now > d->wall_ms && now - d->wall_ms > age)
        age = now - d->wall_ms;
    return age > GARBAGE_SWEEP_AGE_S * 1000 / 2;
}

int
blob_draft_put(struct txn *t, struct blob_draft *d, uint64_t leased_until, struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get_for_update(t, &d->digest, &r, err);

    if (rc < 0)
        return -1;
    d->gone = rc == 0 && !d->published;
    if (d->gone)
        return err_set(err, ERR_BUSY, "a blob went while it was pushed");
    if (rc == 0)
        r = (struct rec_blob){.size = d->size, .instance = d->instance};
    if (rc == 1 && d->replaces && r.instance == d->damaged) {
        r.instance = d->instance;
        rc = 0;
    }
    d->size = r.size;
    d->named = d->published && r.instance == d->instance;
    if (d->named && may_be_swept(d)) {
        d->named = false;
        return err_set(err, ERR_BUSY, "this machine stood still while a blob was pushed");
    }
    if (rc == 1 && r.leased_until >= leased_until)
        return 0;
    if (r.leased_until < leased_until)
        r.leased_until = leased_until;
    return tbl_blob_put(t, &d->digest, &r, err);
}

/* A commit may have reached the disk although it failed. So a file that the last blob_draft_put
 * named stays, and garbage_sweep removes it if no record names it. */
void
blob_draft_settle(struct blob_draft *d)
{
    struct err ignored;

    /* If that fails, the sweep removes it. */
    if (d->replaces && d->named && quarantine_prepare(d->reg->blobs, &ignored) == 0)
        (void)quarantine_put(d->reg->blobs, &d->digest, d->damaged, &ignored);
    if (d->published && !d->named &&
        blob_file_unlink(d->reg->blobs, &d->digest, d->instance, &ignored) != 0)
        log_line(LOG_WARN, "a file that isn't needed stays for the sweep", "why=%s",
                 ignored.message);
}

int
blob_draft_commit(struct blob_draft *d, int (*fn)(struct txn *t, void *arg, struct err *err),
                  void *arg, struct err *err)
{
    int rc = blob_draft_begin(d, err);

    if (rc == 0)
        rc = txn_run(d->reg->kv, fn, arg, err);
    if (rc != 0 && d->gone && d->source != BLOB_DRAFT_NO_FILE) {
        rc = blob_draft_begin(d, err);
        if (rc == 0)
            rc = txn_run(d->reg->kv, fn, arg, err);
    }
    blob_draft_settle(d);
    return rc;
}
