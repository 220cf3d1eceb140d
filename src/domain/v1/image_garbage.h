#pragma once

#include "domain/registry.h"
#include "storage/tables/tbl_job.h"
#include "util/err.h"

/* Collects a v1 image that nothing keeps any more (job: a due JOB_COLLECT of its id), and then
 * those of its ancestors that nothing else keeps. Each is a transaction of its own. */
int image_garbage_collect(const struct registry *reg, const struct job *job, struct err *err);
