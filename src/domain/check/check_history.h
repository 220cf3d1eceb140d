#pragma once

#include "domain/check/check_entry.h"

/* What the history of a tag keeps, and a deleted manifest that can come back, have a job that looks
 * at them when their time is over; without one they would stay for ever. As in check_kept.h, the
 * rule only remembers them, and all are compared with the jobs together. */
int check_history_note(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);

/* Judges what was remembered. */
int check_history_judge(struct check *c, struct err *err);

#define CHECK_HISTORY_KIND "history-job"
