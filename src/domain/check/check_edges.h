#pragma once

#include "domain/check/check_entry.h"

/* Rules about edges: what an edge says must be so (check_table.c). */
int check_edge_is_known(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_edge_has_tag(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
int check_edge_has_manifest(struct check *c, struct txn *t, const struct check_entry *e,
                            struct err *err);
int check_edge_has_trash(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_edge_is_named(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_edge_has_image(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_edge_was_made(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_edge_has_blob(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
