#pragma once

#include "domain/check/check_entry.h"

/* Rules about blobs, their files, and those known to be damaged (check_table.c). */
int check_blob_has_file(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_blob_withdraw(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_blob_is_undamaged(struct check *c, struct txn *t, const struct check_entry *e,
                            struct err *err);
