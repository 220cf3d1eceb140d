#pragma once

#include "domain/check/check_entry.h"

/* Rules about repositories and their names (check_table.c). */
int check_repo_has_name(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_repo_put_name(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
int check_repo_id_is_taken(struct check *c, struct txn *t, const struct check_entry *e,
                           struct err *err);
int check_repo_take_id(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
int check_repo_of_name(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
/* Of any entry with a repository in its key: is it there? */
int check_repo_of_entry(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
/* Deletes the entry, whatever it is. */
int check_repo_drop_entry(struct check *c, struct txn *t, const struct check_entry *e,
                          struct err *err);
