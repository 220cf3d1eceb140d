#include "domain/check/check.h"
#include "domain/core/index_place.h"
#include "domain/check/check_document.h"
#include "domain/check/check_uploads.h"
#include "domain/core/garbage.h"
#include "domain/inside/index_job.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_job.h"
#include "util/clock.h"
#include "util/mem.h"

/* The files below layers/ and index/, directory by directory. */

#define BATCH 64

/* ---- indexes ---- */

struct indexes_to_read {
    struct digest v[BATCH];
    size_t n;
    struct digest after; /* names in a directory have no order: the least BATCH behind this one */
};

static int
add_index_to_read(const struct digest *layer, void *arg, struct err *err)
{
    struct indexes_to_read *x = arg;
    size_t at;

    (void)err;
    if (digest_compare(layer, &x->after) <= 0)
        return 0;
    if (x->n == BATCH && digest_compare(layer, &x->v[BATCH - 1]) >= 0)
        return 0;
    at = x->n < BATCH ? x->n++ : BATCH - 1;
    for (; at > 0 && digest_compare(&x->v[at - 1], layer) > 0; at--)
        x->v[at] = x->v[at - 1];
    x->v[at] = *layer;
    return 0;
}

/* An index that goes while it is read is no finding, nor is one without a layer: the keeper removes
 * it. */
static int
examine_index(struct check *c, const struct digest *layer, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    struct rec_blob r;
    struct err why;
    bool mended = c->repair;
    int rc = index_store_examine(index_place(c->reg), layer, &why);

    c->indexes++;
    if (rc < 0)
        rc = index_store_examine(index_place(c->reg), layer, &why);
    if (rc >= 0)
        return 0;
    if (index_place(c->reg).bucket != NULL && why.code != ERR_CORRUPT) {
        *err = why; /* S3 doesn't answer, which says nothing about the index */
        return -1;
    }
    rc = tbl_blob_get(kv_reads(c->reg->kv), layer, &r, err);
    if (rc != 1)
        return rc < 0 ? -1 : 0;
    check_fails(c, "%s", why.message);
    if (c->repair && (index_store_remove(index_place(c->reg), layer, &why) != 0 ||
                      index_job_demand(c->reg, layer, NULL, &why) != 0)) {
        check_add_failure(c, &why);
        mended = false;
    }
    digest_text(text, layer);
    check_report(c, &(struct check_finding){"index-damaged", text, "its index can be read", c->why,
                                            "it is removed, and made again", mended});
    return 0;
}

static int
examine_indexes(struct check *c, unsigned directory, struct err *err)
{
    struct indexes_to_read x = {.n = BATCH};
    int rc = 0;

    while (rc == 0 && x.n == BATCH) {
        x.n = 0;
        rc = index_store_each(index_place(c->reg), directory, add_index_to_read, &x, err);
        for (size_t i = 0; rc == 0 && i < x.n; i++) {
            rc = examine_index(c, &x.v[i], err);
            if (rc == 0)
                rc = check_tick(c, err);
        }
        if (x.n > 0)
            x.after = x.v[x.n - 1];
    }
    return rc;
}

/* ---- files without a record ---- */

struct ownerless {
    struct check *c;
    struct {
        struct digest digest;
        uint64_t instance;
    } v[BATCH];
    size_t n;
};

/* A younger file may get its record yet, unless nobody else uses the store and it is repaired. */
static int
add_ownerless(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    struct ownerless *o = arg;
    struct check *c = o->c;
    struct rec_blob r;
    int rc;

    if (age_s < GARBAGE_SWEEP_AGE_S && !(c->alone && c->repair))
        return 0;
    rc = tbl_blob_get(kv_reads(c->reg->kv), d, &r, err);
    if (rc < 0 || (rc == 1 && r.instance == instance))
        return rc < 0 ? -1 : 0;
    o->v[o->n].digest = *d;
    o->v[o->n].instance = instance;
    return ++o->n == BATCH;
}

static int
forget_if_to_be_removed(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct ownerless *o = arg;

    (void)err;
    for (size_t i = o->n; i-- > 0;)
        if (o->v[i].instance == r->instance && digest_equal(&o->v[i].digest, &j->digest))
            o->v[i] = o->v[--o->n];
    return o->n == 0;
}

/* 1; 0: it is still there. */
static int
report_ownerless(struct check *c, const struct digest *d, uint64_t instance)
{
    char path[BLOB_FILE_PATH_MAX];
    bool mended = c->repair;
    struct err why;

    blob_file_path(path, d, instance);
    check_fails(c, "no blob has this file");
    if (c->repair && blob_file_unlink(c->reg->blobs, d, instance, &why) != 0) {
        check_add_failure(c, &why);
        mended = false;
    }
    check_report(c, &(struct check_finding){"file-without-record", path, "a file belongs to a blob",
                                            c->why, "it is removed", mended});
    return mended;
}

/* Without a repair, at most a batch of each directory is reported. */
static int
look_for_ownerless(struct check *c, unsigned directory, struct err *err)
{
    struct ownerless o = {.c = c};
    bool more;

    do {
        o.n = 0;
        if (blob_file_each(c->reg->blobs, directory, add_ownerless, &o, err) != 0)
            return -1;
        more = c->repair && o.n == BATCH;
        if (o.n > 0 &&
            tbl_job_each(kv_reads(c->reg->kv), JOB_UNLINK, forget_if_to_be_removed, &o, err) != 0)
            return -1;
        more = more && o.n > 0;
        for (size_t i = 0; i < o.n; i++)
            if (report_ownerless(c, &o.v[i].digest, o.v[i].instance) == 0)
                more = false;
        if (check_tick(c, err) != 0)
            return -1;
    } while (more);
    return 0;
}

int
check_files(struct check *c, struct err *err)
{
    c->part = "uploads";
    if (check_uploads(c, err) != 0)
        return -1;
    c->part = "index";
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        if (look_for_ownerless(c, i, err) != 0 || examine_indexes(c, i, err) != 0)
            return -1;
    return 0;
}
