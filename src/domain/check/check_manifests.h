#pragma once

#include "domain/check/check_entry.h"

/* Called for each edge that a manifest has. 0 goes on, 1 stops, -1. */
typedef int check_manifest_edge_fn(struct check *c, struct txn *t, const struct edge *edge,
                                   void *arg, struct err *err);

/* Calls fn for the right to each part of an image that has to be here: its EDGE_MEMBER, whether it
 * is there or not. */
int check_manifest_each_part(struct check *c, struct txn *t, const struct check_entry *e,
                             check_manifest_edge_fn *fn, void *arg, struct err *err);

/* Rules about manifests and their documents (check_table.c). */
int check_manifest_has_document(struct check *c, struct txn *t, const struct check_entry *e,
                                struct err *err);
int check_manifest_has_edges(struct check *c, struct txn *t, const struct check_entry *e,
                             struct err *err);
int check_manifest_put_edges(struct check *c, struct txn *t, const struct check_entry *e,
                             struct err *err);
int check_manifest_has_parts(struct check *c, struct txn *t, const struct check_entry *e,
                             struct err *err);
int check_manifest_await_parts(struct check *c, struct txn *t, const struct check_entry *e,
                               struct err *err);
int check_manifest_may_serve(struct check *c, struct txn *t, const struct check_entry *e,
                             struct err *err);
int check_manifest_give_rights(struct check *c, struct txn *t, const struct check_entry *e,
                               struct err *err);
int check_manifest_has_image(struct check *c, struct txn *t, const struct check_entry *e,
                             struct err *err);
int check_manifest_has_indexes(struct check *c, struct txn *t, const struct check_entry *e,
                               struct err *err);
int check_manifest_ask_indexes(struct check *c, struct txn *t, const struct check_entry *e,
                               struct err *err);
int check_manifest_has_text(struct check *c, struct txn *t, const struct check_entry *e,
                            struct err *err);
