#pragma once

#include "domain/check/check_entry.h"

/* A blob or an image that nothing keeps has a job that looks at it when its lease is over. Jobs are
 * sorted by time, so many blobs are compared with all of them together: the rule only remembers
 * what nothing keeps. */
int check_kept_note(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);

/* Judges what was remembered. */
int check_kept_judge(struct check *c, struct err *err);

#define CHECK_KEPT_KIND "no-job"
