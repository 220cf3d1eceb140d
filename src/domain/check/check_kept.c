#include "domain/check/check_kept.h"
#include "domain/core/lease.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_image.h"
#include "util/clock.h"

/* A second look finds out what was changed meanwhile. */
#define PAUSE_MS 100

int
check_kept_note(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    int rc = tbl_edge_kept(t, &e->digest, err);

    if (rc == 0 && c->unkept_n == CHECK_UNKEPT_MAX && check_kept_judge(c, err) != 0)
        return -1;
    if (rc == 0)
        c->unkept[c->unkept_n++] = e->digest;
    return rc < 0 ? -1 : 1;
}

static int
forget_if_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct check *c = arg;
    struct digest *at =
        bsearch(&j->digest, c->unkept, c->unkept_n, sizeof *c->unkept, digest_order);

    (void)r;
    (void)err;
    if (at == NULL)
        return 0;
    memmove(at, at + 1, (size_t)(c->unkept + c->unkept_n - (at + 1)) * sizeof *at);
    c->unkept_n--;
    return c->unkept_n == 0;
}

static int
forget_those_with_jobs(struct check *c, struct err *err)
{
    if (c->unkept_n == 0)
        return 0;
    qsort(c->unkept, c->unkept_n, sizeof *c->unkept, digest_order);
    return tbl_job_each(kv_reads(c->reg->kv), JOB_COLLECT, forget_if_job, c, err);
}

struct lost_one {
    const struct digest *d;
    bool repair;
    bool is_lost;
};

/* Adds the job: if there is one after all, it does no harm. */
static int
look_for_lost(struct txn *t, void *arg, struct err *err)
{
    struct lost_one *x = arg;
    uint64_t until = 0;
    struct rec_image image;
    struct rec_blob blob;
    int rc;

    x->is_lost = false;
    if (x->d->algo == DIGEST_V1_ID) {
        rc = tbl_image_get(t, x->d, &image, err);
        until = rc == 1 ? image.leased_until : 0;
    } else {
        rc = tbl_blob_get(t, x->d, &blob, err);
        until = rc == 1 ? blob.leased_until : 0;
    }
    if (rc != 1)
        return rc;
    rc = tbl_edge_kept(t, x->d, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    x->is_lost = true;
    return x->repair ? lease_look_at(t, x->d, until, err) : 0;
}

static int
report_lost(struct check *c, const struct digest *d, struct err *err)
{
    struct lost_one x = {.d = d, .repair = c->repair};
    char text[DIGEST_TEXT_MAX];

    if (txn_run_anyway(c->reg->kv, look_for_lost, &x, err) != 0)
        return -1;
    digest_text(text, d);
    if (x.is_lost)
        check_report(c, &(struct check_finding){CHECK_KEPT_KIND, text,
                                                "something keeps it, or a job looks at it",
                                                "nothing keeps it, and no job looks at it",
                                                "the job is added", c->repair});
    return 0;
}

int
check_kept_judge(struct check *c, struct err *err)
{
    int rc = forget_those_with_jobs(c, err);

    if (rc == 0 && c->unkept_n > 0) {
        clock_sleep_ms(PAUSE_MS);
        rc = forget_those_with_jobs(c, err);
    }
    for (size_t i = 0; rc == 0 && i < c->unkept_n; i++)
        rc = report_lost(c, &c->unkept[i], err);
    c->unkept_n = 0;
    return rc;
}
