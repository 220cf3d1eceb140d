#pragma once

#include <stdint.h>
#include "storage/kv/kv.h"

/* tally: a kind of things -> their number. The transactions that create and delete the things keep
 * it (domain/core/count_limit.h), so it is exact. A tally of 0 has no record. */
enum tally_kind {
    TALLY_REPOSITORIES = 1, /* of the whole store */
    TALLY_TAGS = 2,         /* of one repository */
    TALLY_UPLOADS = 3,      /* in progress, of one user or address */
};

struct tally {
    enum tally_kind kind;
    uint64_t repo;     /* TALLY_TAGS */
    const char *owner; /* TALLY_UPLOADS; else NULL */
};

/* 1 and *n, 0 when there is no record, -1. */
int tbl_tally_get(struct txn *t, const struct tally *tally, uint64_t *n, struct err *err);
/* The same. No other transaction changes the tally until this one ends. */
int tbl_tally_get_for_update(struct txn *t, const struct tally *tally, uint64_t *n,
                             struct err *err);
/* Visits the tallies of a kind; of TALLY_TAGS those of repositories with greater ids than `after`.
 * repo: of TALLY_TAGS, else 0. fn is like kv_range_fn. */
int tbl_tally_each(struct txn *t, enum tally_kind kind, uint64_t after,
                   int (*fn)(uint64_t repo, uint64_t n, void *arg, struct err *err), void *arg,
                   struct err *err);
/* Announce tbl_tally_get, and tbl_tally_each of a kind that isn't TALLY_TAGS. */
void tbl_tally_expect(struct txn *t, const struct tally *tally);
void tbl_tally_expect_each(struct txn *t, enum tally_kind kind);
int tbl_tally_put(struct txn *t, const struct tally *tally, uint64_t n, struct err *err);
