#pragma once

#include "domain/check/check_entry.h"

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
