#include "storage/tables/tbl_job.h"

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(const struct job *j)
{
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)j->kind);
    key_u64(&k, j->due);
    key_digest(&k, &j->digest);
    return k;
}

int
tbl_job_get(struct txn *t, const struct job *j, struct rec_job *r, struct err *err)
{
    struct key k = make_key(j);
    struct rec_job ignored;
    struct buf val;
    int rc = tbl_fetch(t, TABLE_JOB, &k, false, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_job_decode(r != NULL ? r : &ignored, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_job_put(struct txn *t, const struct job *j, const struct rec_job *r, struct err *err)
{
    struct key k = make_key(j);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_job_encode(&val, r);
    return tbl_store(t, TABLE_JOB, &k, &val, err);
}

int
tbl_job_delete(struct txn *t, const struct job *j, struct err *err)
{
    struct key k = make_key(j);

    return kv_delete(t, TABLE_JOB, key_of(&k), err);
}

struct each {
    enum job_kind kind;
    int (*fn)(const struct job *j, const struct rec_job *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    struct rec_reader rd = rec_reader_of(key);
    struct job j = {.kind = e->kind};
    struct rec_job r;

    rec_take_u8(&rd);
    j.due = rec_take_u64(&rd);
    rec_take_digest(&rd, &j.digest);
    if (rd.bad || rd.n != 0) {
        err_set(err, ERR_CORRUPT, "a key of table job can't be read");
        return tbl_skip(err);
    }
    if (rec_job_decode(&r, val, err) != 0)
        return tbl_skip(err);
    return e->fn(&j, &r, e->arg, err);
}

int
tbl_job_each(struct txn *t, enum job_kind kind,
             int (*fn)(const struct job *j, const struct rec_job *r, void *arg, struct err *err),
             void *arg, struct err *err)
{
    struct each e = {kind, fn, arg};
    struct key prefix = {.n = 0};

    key_u8(&prefix, (uint8_t)kind);
    return kv_range_each(t, TABLE_JOB, &(struct kv_range){.prefix = key_of(&prefix)}, visit, &e,
                         err);
}
