#pragma once

#include "domain/check/check_entry.h"

/* A last pull belongs to a tag or a manifest, and goes with it. */
int check_pull_has_target(struct check *c, struct txn *t, const struct check_entry *e,
                          struct err *err);
