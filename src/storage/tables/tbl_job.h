#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* job: kind, due, digest -> struct rec_job. Work for the keeper. The numbers are stored. */
enum job_kind {
    JOB_COLLECT = 1,     /* delete the blob or v1 image, unless something keeps it */
    JOB_UNLINK = 2,      /* the blob's record is deleted: remove the file of that instance */
    JOB_INDEX = 3,       /* a request waits for the index of this layer */
    JOB_CONVERT = 4,     /* write config and manifest of a v1 image */
    JOB_INDEX_IMAGE = 5, /* index the layers of an image: a manifest's digest, or a v1 id */
    JOB_FORGET = 6,  /* delete the manifest that was made of a v1 image, unless a tag needs it */
    JOB_HISTORY = 7, /* the history of a tag may no longer keep this manifest or v1 image */
};

struct job {
    enum job_kind kind;
    uint64_t due;
    struct digest digest;
};

/* 1: there is this job, 0, -1. */
int tbl_job_has(struct txn *t, const struct job *j, struct err *err);
int tbl_job_put(struct txn *t, const struct job *j, const struct rec_job *r, struct err *err);
/* 1: deleted, 0: it wasn't there, -1; drop is without the answer: 0, -1. */
int tbl_job_delete(struct txn *t, const struct job *j, struct err *err);
int tbl_job_drop(struct txn *t, const struct job *j, struct err *err);

/* Visits the jobs of a kind; the one that is due first comes first. fn is like kv_range_fn. */
int tbl_job_each(struct txn *t, enum job_kind kind,
                 int (*fn)(const struct job *j, const struct rec_job *r, void *arg,
                           struct err *err),
                 void *arg, struct err *err);
void tbl_job_expect_each(struct txn *t, enum job_kind kind);
