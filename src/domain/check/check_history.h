#pragma once

#include "domain/check/check_entry.h"

/* Each target that the history of a tag keeps, and each deleted manifest that can come back, has a
 * job that looks at it when its time is over; without a job it would stay for ever. As in
 * check_kept.h, check_history_note only remembers them, and check_history_judge compares many of
 * them with the jobs at once. */
int check_history_note(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);

/* Judges what was remembered. */
int check_history_judge(struct check *c, struct err *err);

#define CHECK_HISTORY_KIND "history-job"
