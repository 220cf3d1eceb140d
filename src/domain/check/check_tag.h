#pragma once

#include "domain/check/check_entry.h"

/* Rules about tags (check_table.c). */
int check_tag_has_target(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_tag_has_edge(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
int check_tag_put_edge(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
int check_tag_drop(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);
