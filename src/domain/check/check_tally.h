#pragma once

#include "domain/check/check_entry.h"

/* Rules about what is counted (check_table.c). */
int check_tally_has_repo(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_tally_has_tag(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_tally_has_upload(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err);
int check_tally_is_right(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
/* Counts, and puts the tally: of a tally, or of an entry that is counted. */
int check_tally_correct(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
