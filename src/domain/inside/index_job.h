#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/tbl_job.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* What is still to be indexed: layers that somebody waits for, and images that were pushed. Whoever
 * makes the indexes (process/indexer) asks for jobs here, and says here what became of them.
 *
 * A push puts no job: that would be a row at the end of a table, and all pushes would wait there
 * for each other's commits. It leaves an event, as ever; the keeper reads those, and puts the jobs
 * in one transaction with a mark of how far it read. So none is lost. */

/* Somebody waits for the index of that layer, which is a blob here: it is made before any other.
 * Wakes the keeper. Cheap when that was said before. */
int index_job_demand(const struct registry *reg, const struct digest *layer, struct err *err);

/* ---- for the one who makes them ---- */

struct index_job {
    struct job job;
    struct rec_job record;
};

/* Reads some events behind *mark, moves it, and puts a job for each new image among them: those of
 * manifests, and the first API's when their layer has come. *more: there may be others. With a job
 * the mark is saved (outbox_indexed_save). */
int index_job_take(const struct registry *reg, uint32_t *mark, bool *more, struct err *err);

/* The first n that are due now of JOB_INDEX or JOB_INDEX_IMAGE. *next_due: clock_wall_ms() when the
 * next one behind them is; UINT64_MAX: there is none, or v is full. */
int index_job_list(const struct registry *reg, enum job_kind kind, struct index_job *v, size_t n,
                   size_t *got, uint64_t *next_due, struct err *err);

/* An image whose layers are to be indexed. Layers in the arena; some may not be in the store. */
struct index_job_image {
    struct digest id; /* what hooks call it */
    struct digest *layers;
    size_t layers_n;
};
/* 1. 0: it is gone, or is no image any more: index_job_drop. -1; ERR_NO_IMAGE: a v1 image of whose
 * ancestors one isn't whole yet. */
int index_job_image(const struct registry *reg, const struct index_job *j, struct arena *arena,
                    struct index_job_image *image, struct err *err);

/* All of their layers are done: one transaction for up to INDEX_JOB_DONE_MAX images, in which the
 * jobs go and EVENT_INDEX comes for each. */
#define INDEX_JOB_DONE_MAX 64
struct index_job_end {
    struct index_job job;
    struct digest id; /* what hooks call the image */
};
int index_job_done(const struct registry *reg, const struct index_job_end *v, size_t n,
                   struct err *err);
int index_job_drop(const struct registry *reg, const struct index_job *j, struct err *err);
/* Not before `due`; counts a try. Only for JOB_INDEX_IMAGE. */
int index_job_postpone(const struct registry *reg, const struct index_job *j, uint64_t due,
                       struct err *err);
