#pragma once

#include "domain/check/check_entry.h"

/* A blob or an image that nothing keeps has a job that looks at it when its lease is over. Jobs are
 * sorted by time, so finding one job means reading all of them. Therefore check_kept_note only
 * remembers the blobs and images that nothing keeps, and check_kept_judge compares many of them
 * with the jobs at once. */
int check_kept_note(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);

/* Judges what was remembered. */
int check_kept_judge(struct check *c, struct err *err);

#define CHECK_KEPT_KIND "no-job"
