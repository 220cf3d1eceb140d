#pragma once

#include "domain/check/check_entry.h"

/* Rules about images of the first API (check_table.c). */
int check_image_has_json(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_image_has_edges(struct check *c, struct txn *t, const struct check_entry *e,
                          struct err *err);
int check_image_put_edges(struct check *c, struct txn *t, const struct check_entry *e,
                          struct err *err);
int check_image_has_parent(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err);
int check_image_has_layer(struct check *c, struct txn *t, const struct check_entry *e,
                          struct err *err);
int check_image_open(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);
