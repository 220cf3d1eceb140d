#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl.h"

static struct key
job_key(const struct job *j)
{
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)j->kind);
    key_u64(&k, j->due);
    key_digest(&k, &j->digest);
    return k;
}

int
tbl_job_has(struct txn *t, const struct job *j, struct err *err)
{
    return tbl_get(t, &record_job, job_key(j), NULL, err);
}

int
tbl_job_put(struct txn *t, const struct job *j, const struct rec_job *r, struct err *err)
{
    return tbl_put(t, &record_job, job_key(j), r, err);
}

int
tbl_job_delete(struct txn *t, const struct job *j, struct err *err)
{
    return tbl_delete(t, &record_job, job_key(j), err);
}

int
tbl_job_drop(struct txn *t, const struct job *j, struct err *err)
{
    return tbl_drop(t, &record_job, job_key(j), err);
}

struct job_visit {
    int (*fn)(const struct job *j, const struct rec_job *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_job(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct job_visit *v = arg;
    struct job j = {.kind = (enum job_kind)unpack_u8(key)};

    j.due = unpack_u64(key);
    unpack_digest(key, &j.digest);
    return unpack_done(key) ? v->fn(&j, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_job_each(struct txn *t, enum job_kind kind,
             int (*fn)(const struct job *j, const struct rec_job *r, void *arg, struct err *err),
             void *arg, struct err *err)
{
    struct job_visit v = {fn, arg};
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)kind);
    return tbl_each(t, &record_job, &(struct kv_range){.prefix = key_of(&k)}, visit_job, &v, err);
}

void
tbl_job_expect_each(struct txn *t, enum job_kind kind)
{
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)kind);
    kv_expect_range(t, TABLE_JOB, &(struct kv_range){.prefix = key_of(&k)});
}
