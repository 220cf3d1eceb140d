#ifndef STORAGE_TABLES_TBL_JOB_H
#define STORAGE_TABLES_TBL_JOB_H

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* job: kind, when it is due, digest -> struct rec_job. Work for the keeper. The numbers are stored.
 */
enum job_kind {
    JOB_COLLECT = 1,     /* look whether anything keeps the blob or v1 image; if not, it goes */
    JOB_UNLINK = 2,      /* its record went: remove the file of that instance */
    JOB_INDEX = 3,       /* somebody waits for the index of a layer */
    JOB_CONVERT = 4,     /* write config and manifest of a v1 image */
    JOB_INDEX_IMAGE = 5, /* index the layers of an image: a manifest's digest, or a v1 id */
    JOB_FORGET = 6,      /* look whether a tag needs the manifest that was made of a v1 image */
};

struct job {
    enum job_kind kind;
    uint64_t due;
    struct digest digest;
};

/* Is it there? 1, 0, -1; r may be NULL. */
int tbl_job_get(struct txn *t, const struct job *j, struct rec_job *r, struct err *err);
int tbl_job_put(struct txn *t, const struct job *j, const struct rec_job *r, struct err *err);
int tbl_job_delete(struct txn *t, const struct job *j, struct err *err);

/* Visits the jobs of a kind, the longest due first. fn as kv_range_fn has it. */
int tbl_job_each(struct txn *t, enum job_kind kind,
                 int (*fn)(const struct job *j, const struct rec_job *r, void *arg,
                           struct err *err),
                 void *arg, struct err *err);

#endif
