#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/index_place.h"
#include "domain/registry.h"
#include "storage/tables/tbl_job.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* The queue of layers to be indexed: layers that a request waits for, and the layers of pushed
 * images. The keeper's indexer (process/keeper/indexer.h) takes jobs and reports their results.
 *
 * A push adds no job: all pushes would then wait for each other's commit, because the row would be
 * at the end of a table. A push only appends an event, as always. The keeper reads the events and
 * adds the jobs, in one transaction with a mark of how far it has read, so none is lost. */

/* Asks for the index of a layer, which is in the store. repository: a request that looks into it
 * waits, so the index is made before those of pushed images (any text that tells repositories
 * apart, for requests that name an id of the first API); NULL: no request waits. Wakes the keeper.
 * Cheap if it was asked for before. Fails if indexes can't be written (index_store_check), since
 * waiting would not help; ERR_NOT_BROWSABLE in a read-only registry. */
int index_job_demand(const struct registry *reg, const struct digest *layer, const char *repository,
                     struct err *err);

/* Has a request asked for the index of the layer (index_job_demand), and is it still missing? 1, 0,
 * -1. */
int index_job_is_asked(const struct registry *reg, const struct digest *layer, struct err *err);

/* ---- for the indexer ---- */

struct index_job {
    struct job job;
    struct rec_job record;
};

/* Reads some events after *mark, moves the mark, and adds a job for each new image among them: for
 * manifests, and for v1 images when their layer has arrived. *more: there may be more events. The
 * mark is saved together with a job (outbox_indexed_save). */
int index_job_take(const struct registry *reg, uint32_t *mark, bool *more, struct err *err);

/* Does a request wait for the layer of this job? */
bool index_job_is_waited_for(const struct index_job *j);

/* 1 if two jobs are of the same repository, and 1 more if they are of the same named user. Jobs
 * take turns by this. */
unsigned index_job_kin(const struct rec_job *one, const struct rec_job *other);

/* Appends due jobs of kind JOB_INDEX or JOB_INDEX_IMAGE to the list of the caller. If there are
 * more than fit, a repository gets at most half of the room, and one with few jobs comes before the
 * later jobs of those with many. Among equals the oldest come first. */
struct index_job_list {
    struct index_job *v;
    size_t room;
    size_t n;          /* at first, the jobs that the caller has */
    bool more;         /* some that are due were left out */
    uint64_t next_due; /* when the next one is due, as clock_wall_ms(); UINT64_MAX: there is none */
};
int index_job_list(const struct registry *reg, enum job_kind kind, struct index_job_list *l,
                   struct err *err);

/* An image whose layers are to be indexed. The layers are in the arena; some may not be in the
 * store. */
struct index_job_image {
    struct digest id; /* what hooks call it */
    struct digest *layers;
    size_t layers_n;
};
/* 1. 0: the image is gone, or is no image any more; call index_job_drop. -1; ERR_NO_IMAGE: an
 * ancestor of a v1 image isn't complete yet. */
int index_job_image(const struct registry *reg, const struct index_job *j, struct arena *arena,
                    struct index_job_image *image, struct err *err);

/* Removes the jobs of up to INDEX_JOB_DONE_MAX images whose layers are all indexed, settles the ids
 * of the first API that lead to them (manifest_ids.h), and appends EVENT_INDEX for each, in one
 * transaction. */
#define INDEX_JOB_DONE_MAX 64
struct index_job_end {
    struct index_job job;
    struct digest id; /* the image's id for hooks */
};
int index_job_done(const struct registry *reg, const struct index_job_end *v, size_t n,
                   struct err *err);
int index_job_drop(const struct registry *reg, const struct index_job *j, struct err *err);
/* Postpones the job until `due`, and counts a try. Only for JOB_INDEX_IMAGE. */
int index_job_postpone(const struct registry *reg, const struct index_job *j, uint64_t due,
                       struct err *err);
