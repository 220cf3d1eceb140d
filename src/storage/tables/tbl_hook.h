#ifndef STORAGE_TABLES_TBL_HOOK_H
#define STORAGE_TABLES_TBL_HOOK_H

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* hook: those that wait, by repository and then by the event's number, so that the first of a
 * repository is the one whose turn it is; behind them those that have failed, by number. Each has
 * its event with it, which may be gone from the queue by then. The numbers are stored. */
enum tbl_hook_state {
    TBL_HOOK_WAITING = 1,
    TBL_HOOK_FAILED = 2,
};

struct tbl_hook {
    enum tbl_hook_state state;
    uint32_t seq;
    struct rec_hook record;
};

/* By the state, seq and repository that h has; the record is filled. 1, 0, -1. */
int tbl_hook_get(struct txn *t, struct tbl_hook *h, struct err *err);
int tbl_hook_get_for_update(struct txn *t, struct tbl_hook *h, struct err *err);
int tbl_hook_put(struct txn *t, const struct tbl_hook *h, struct err *err);
/* 1 it was there, 0, -1. */
int tbl_hook_delete(struct txn *t, const struct tbl_hook *h, struct err *err);

typedef int tbl_hook_fn(const struct tbl_hook *h, void *arg, struct err *err);

/* Visits those of a state, in order; from the first behind `after` (state, repository, seq), or
 * from the very first when that is NULL. fn as kv_range_fn has it. */
int tbl_hook_each(struct txn *t, enum tbl_hook_state state, const struct tbl_hook *after,
                  tbl_hook_fn *fn, void *arg, struct err *err);
/* The first that waits in the repositories behind that one (NULL: in any): 1, 0, -1. */
int tbl_hook_first_behind(struct txn *t, const char *repository, struct tbl_hook *h,
                          struct err *err);

#endif
