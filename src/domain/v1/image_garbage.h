#pragma once

#include "domain/core/garbage_round.h"
#include "domain/registry.h"
#include "storage/tables/tbl_job.h"
#include "util/err.h"

/* Collects the v1 images that nothing keeps any more (jobs: due JOB_COLLECT of their ids), and then
 * those of their ancestors that nothing else keeps, many in each transaction. */
int image_garbage_collect(const struct registry *reg, const struct job *jobs, size_t n,
                          struct err *err);

/* Fills foreign_images.collect_round. */
int image_garbage_round(struct garbage_round *round, struct err *err);
